vaebenchCodes("baggins_scale-b382e86d211a",{});
