vaebenchCodes("posterior_variance-168f339f283b",{});
