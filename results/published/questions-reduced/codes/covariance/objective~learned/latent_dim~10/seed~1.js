vaebenchCodes("covariance-7a0830c835bd",{});
