vaebenchCodes("covariance-1c22307540f5",{});
