vaebenchCodes("covariance-537e167c6341",{});
