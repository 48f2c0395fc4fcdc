vaebenchCodes("posterior_variance-e9009dfdb329",{});
