vaebenchCodes("covariance-898d898f0954",{});
