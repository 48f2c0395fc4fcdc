vaebenchCodes("baggins_scale-16863ecbe951",{});
