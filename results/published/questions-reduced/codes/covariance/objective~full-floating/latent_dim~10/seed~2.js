vaebenchCodes("covariance-374cf6cb1184",{});
