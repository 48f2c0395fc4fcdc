vaebenchCodes("mnist-a64909cdfd1e",{});
