vaebenchCodes("posterior_variance-9d8db0532f9c",{});
