vaebenchCodes("baggins_scale-1295b05bd8ad",{});
