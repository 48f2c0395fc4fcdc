vaebenchCodes("covariance-4c19bc3f93e5",{});
