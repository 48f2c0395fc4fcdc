vaebenchCodes("covariance-1c22307540f5",{"columns":8});
