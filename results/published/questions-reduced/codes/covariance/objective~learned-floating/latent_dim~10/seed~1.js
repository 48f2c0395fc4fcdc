vaebenchCodes("covariance-cffe245c6f34",{});
