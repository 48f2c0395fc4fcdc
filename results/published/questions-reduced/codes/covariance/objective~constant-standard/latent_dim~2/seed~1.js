vaebenchCodes("covariance-ca607ffa70ae",{"columns":8});
