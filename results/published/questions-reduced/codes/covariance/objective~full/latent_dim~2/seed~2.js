vaebenchCodes("covariance-b2ec27c06326",{"columns":8});
