vaebenchCodes("posterior_variance-6e540b709e61",{"columns":8});
