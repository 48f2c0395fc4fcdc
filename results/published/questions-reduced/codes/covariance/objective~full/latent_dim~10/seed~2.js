vaebenchCodes("covariance-763e2b8c48c8",{});
