vaebenchCodes("posterior_variance-ba822908feaf",{"columns":8});
