vaebenchCodes("posterior_variance-bea3c2d84fc0",{});
