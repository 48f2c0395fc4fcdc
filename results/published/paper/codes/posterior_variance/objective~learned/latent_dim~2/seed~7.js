vaebenchCodes("posterior_variance-6d27f40d17c3",{});
