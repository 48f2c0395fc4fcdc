vaebenchCodes("covariance-272f2e73c33e",{});
