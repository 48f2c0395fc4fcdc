vaebenchCodes("covariance-3648d31889ce",{});
