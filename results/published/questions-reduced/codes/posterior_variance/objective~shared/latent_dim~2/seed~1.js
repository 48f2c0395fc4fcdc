vaebenchCodes("posterior_variance-c82e22d6a51a",{});
