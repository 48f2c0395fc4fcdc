vaebenchCodes("covariance-cffe245c6f34",{"columns":8});
