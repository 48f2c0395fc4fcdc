vaebenchCodes("baggins_scale-75b5e58d2c87",{});
