vaebenchCodes("posterior_variance-1b0a139f7afe",{});
