vaebenchCodes("posterior_variance-4ba617b9276b",{});
