vaebenchCodes("constant_variance-3da1c213a278",{});
