vaebenchCodes("covariance-ff66905b9735",{});
