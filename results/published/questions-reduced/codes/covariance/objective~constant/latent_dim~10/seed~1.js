vaebenchCodes("covariance-b87eb8209441",{"columns":8});
