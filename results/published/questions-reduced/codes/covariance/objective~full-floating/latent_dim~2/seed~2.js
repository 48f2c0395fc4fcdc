vaebenchCodes("covariance-3284609f9f84",{"columns":8});
