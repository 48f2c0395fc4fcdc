vaebenchCodes("posterior_variance-e9009dfdb329",{"columns":8});
