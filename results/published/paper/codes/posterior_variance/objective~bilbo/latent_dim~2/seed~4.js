vaebenchCodes("posterior_variance-a93d90af4e56",{});
