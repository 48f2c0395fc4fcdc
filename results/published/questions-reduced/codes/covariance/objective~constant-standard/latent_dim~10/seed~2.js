vaebenchCodes("covariance-538f407362a1",{});
