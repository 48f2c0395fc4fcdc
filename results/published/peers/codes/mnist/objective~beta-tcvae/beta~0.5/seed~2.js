vaebenchCodes("mnist-2d7fda44bbac",{});
