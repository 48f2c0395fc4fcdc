vaebenchCodes("covariance-c82e22d6a51a",{});
