vaebenchCodes("covariance-47ad1d7568bc",{});
