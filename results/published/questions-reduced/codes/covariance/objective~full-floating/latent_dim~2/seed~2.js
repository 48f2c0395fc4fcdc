vaebenchCodes("covariance-3284609f9f84",{});
