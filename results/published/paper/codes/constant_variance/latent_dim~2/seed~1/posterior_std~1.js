vaebenchCodes("constant_variance-1cf7da8e951a",{});
