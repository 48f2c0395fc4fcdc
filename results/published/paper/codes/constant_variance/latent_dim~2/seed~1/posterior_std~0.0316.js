vaebenchCodes("constant_variance-993fc651c0b5",{});
