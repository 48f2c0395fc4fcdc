vaebenchCodes("covariance-5883f32c6a2a",{});
