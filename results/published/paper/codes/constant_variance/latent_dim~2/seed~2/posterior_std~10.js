vaebenchCodes("constant_variance-33c37ed8c92d",{});
