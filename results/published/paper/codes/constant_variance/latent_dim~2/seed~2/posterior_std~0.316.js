vaebenchCodes("constant_variance-cc2824ce4f1a",{});
