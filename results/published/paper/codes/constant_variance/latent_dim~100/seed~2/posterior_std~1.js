vaebenchCodes("constant_variance-6d9140624ba2",{});
