vaebenchCodes("posterior_variance-b81ecf01d3d0",{"columns":8});
