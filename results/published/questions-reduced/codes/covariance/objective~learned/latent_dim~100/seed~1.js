vaebenchCodes("covariance-1b0a139f7afe",{});
