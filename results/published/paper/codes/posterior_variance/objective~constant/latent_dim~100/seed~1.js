vaebenchCodes("posterior_variance-dd710eaac672",{"columns":8});
