vaebenchCodes("constant_variance-127b9c2e09e2",{});
