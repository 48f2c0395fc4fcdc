vaebenchCodes("posterior_variance-3390e6c8fa7a",{});
