vaebenchCodes("covariance-b2ec27c06326",{});
