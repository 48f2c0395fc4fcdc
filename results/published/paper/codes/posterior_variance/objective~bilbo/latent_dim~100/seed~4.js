vaebenchCodes("posterior_variance-b036f7dc5215",{});
