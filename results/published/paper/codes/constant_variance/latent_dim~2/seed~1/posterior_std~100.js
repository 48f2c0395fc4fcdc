vaebenchCodes("constant_variance-5fc371004f2c",{});
