vaebenchCodes("covariance-b87eb8209441",{});
