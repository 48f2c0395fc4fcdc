vaebenchCodes("covariance-ecc3ff9fd4df",{});
