vaebenchCodes("covariance-5ddbb26a837c",{});
