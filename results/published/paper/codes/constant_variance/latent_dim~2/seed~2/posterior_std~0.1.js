vaebenchCodes("constant_variance-a928a3b19dc9",{});
