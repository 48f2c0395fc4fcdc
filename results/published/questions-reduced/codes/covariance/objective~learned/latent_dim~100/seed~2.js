vaebenchCodes("covariance-58db142dcdf0",{});
