vaebenchCodes("covariance-cadc31ff6ae6",{});
