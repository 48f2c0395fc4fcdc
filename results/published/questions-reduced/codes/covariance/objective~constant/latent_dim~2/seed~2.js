vaebenchCodes("covariance-ceb0d150ee21",{});
