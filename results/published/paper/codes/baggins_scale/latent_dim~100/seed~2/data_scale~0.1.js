vaebenchCodes("baggins_scale-5be2c41d78e7",{});
