vaebenchCodes("baggins_scale-52133ab031c2",{});
