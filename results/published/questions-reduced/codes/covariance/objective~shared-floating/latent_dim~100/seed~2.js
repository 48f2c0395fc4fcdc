vaebenchCodes("covariance-fd8df13008db",{});
