vaebenchCodes("constant_variance-fe206a74f071",{});
