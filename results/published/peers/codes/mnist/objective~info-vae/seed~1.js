vaebenchCodes("mnist-18bd75178e4d",{});
