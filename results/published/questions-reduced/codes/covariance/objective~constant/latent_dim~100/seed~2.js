vaebenchCodes("covariance-47269d1f53fb",{});
