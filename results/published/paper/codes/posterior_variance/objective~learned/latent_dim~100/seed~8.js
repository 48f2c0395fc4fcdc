vaebenchCodes("posterior_variance-fad46ab8173e",{"columns":8});
