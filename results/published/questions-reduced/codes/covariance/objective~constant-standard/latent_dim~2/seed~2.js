vaebenchCodes("covariance-079fb8e8fb68",{});
