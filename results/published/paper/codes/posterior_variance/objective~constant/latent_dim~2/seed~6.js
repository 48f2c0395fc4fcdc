vaebenchCodes("posterior_variance-085b71709edd",{});
