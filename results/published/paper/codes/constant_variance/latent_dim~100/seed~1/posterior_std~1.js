vaebenchCodes("constant_variance-9ddaf17f2d21",{});
