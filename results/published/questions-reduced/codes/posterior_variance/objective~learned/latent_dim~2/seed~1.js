vaebenchCodes("posterior_variance-e1bd086f8c2c",{});
