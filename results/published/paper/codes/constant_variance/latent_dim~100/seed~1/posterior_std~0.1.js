vaebenchCodes("constant_variance-8fbf417856b2",{});
