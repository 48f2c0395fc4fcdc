vaebenchCodes("covariance-3390e6c8fa7a",{});
