vaebenchCodes("constant_variance-65cca9d89a6a",{});
