vaebenchCodes("constant_variance-f664f5494f6d",{});
