vaebenchCodes("constant_variance-ec06e403f4f5",{});
