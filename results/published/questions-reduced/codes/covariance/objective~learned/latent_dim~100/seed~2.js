vaebenchCodes("covariance-58db142dcdf0",{"columns":8});
