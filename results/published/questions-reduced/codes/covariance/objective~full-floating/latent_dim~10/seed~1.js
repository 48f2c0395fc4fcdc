vaebenchCodes("covariance-0389b7b6b565",{});
