vaebenchCodes("posterior_variance-b036f7dc5215",{"columns":8});
