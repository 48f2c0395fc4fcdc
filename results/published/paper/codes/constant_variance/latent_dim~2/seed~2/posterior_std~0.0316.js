vaebenchCodes("constant_variance-b789b00dd163",{});
