vaebenchCodes("mnist-a4df59b1a941",{});
