vaebenchCodes("covariance-cadc31ff6ae6",{"columns":8});
