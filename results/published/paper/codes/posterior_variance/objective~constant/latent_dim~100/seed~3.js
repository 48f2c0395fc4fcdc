vaebenchCodes("posterior_variance-e5c6a0b7a47e",{});
