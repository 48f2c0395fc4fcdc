vaebenchCodes("constant_variance-f07afc8c6655",{});
