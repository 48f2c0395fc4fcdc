vaebenchCodes("constant_variance-c28f43ba3f05",{});
