vaebenchCodes("covariance-7b05bf4cb707",{});
