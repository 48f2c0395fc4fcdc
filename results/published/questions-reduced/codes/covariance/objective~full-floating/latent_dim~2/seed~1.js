vaebenchCodes("covariance-476d5c9a4a7e",{});
