vaebenchCodes("mnist-110a8dfcf47a",{});
