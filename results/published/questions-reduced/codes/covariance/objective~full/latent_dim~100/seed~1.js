vaebenchCodes("covariance-4d4cd0a0307f",{});
