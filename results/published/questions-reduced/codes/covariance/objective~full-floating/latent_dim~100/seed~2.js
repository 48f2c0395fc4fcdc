vaebenchCodes("covariance-b53044800478",{});
