vaebenchCodes("covariance-fde09d01f9ab",{});
