vaebenchCodes("covariance-ffcd1a63d61c",{});
