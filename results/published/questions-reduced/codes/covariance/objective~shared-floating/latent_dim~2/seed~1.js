vaebenchCodes("covariance-46546a7926b1",{});
