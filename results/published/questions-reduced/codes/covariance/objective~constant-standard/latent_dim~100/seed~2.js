vaebenchCodes("covariance-ef4807ea51f4",{});
