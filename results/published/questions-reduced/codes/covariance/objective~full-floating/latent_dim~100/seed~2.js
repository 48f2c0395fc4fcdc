vaebenchCodes("covariance-b53044800478",{"columns":8});
