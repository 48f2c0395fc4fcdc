vaebenchCodes("covariance-374cf6cb1184",{"columns":8});
