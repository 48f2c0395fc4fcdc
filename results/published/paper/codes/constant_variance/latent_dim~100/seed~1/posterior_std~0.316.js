vaebenchCodes("constant_variance-5c476700e0d7",{});
