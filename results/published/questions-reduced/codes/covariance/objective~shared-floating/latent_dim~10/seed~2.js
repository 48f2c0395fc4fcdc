vaebenchCodes("covariance-ff66905b9735",{"columns":8});
