vaebenchCodes("covariance-3648d31889ce",{"columns":8});
