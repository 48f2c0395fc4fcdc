vaebenchCodes("constant_variance-01fb2ac6e943",{});
