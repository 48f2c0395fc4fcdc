vaebenchCodes("covariance-c270d75ca57b",{});
