vaebenchCodes("covariance-ca607ffa70ae",{});
