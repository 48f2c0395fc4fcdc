vaebenchCodes("posterior_variance-956aa267ecfb",{});
