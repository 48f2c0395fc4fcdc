vaebenchCodes("covariance-e1bd086f8c2c",{});
