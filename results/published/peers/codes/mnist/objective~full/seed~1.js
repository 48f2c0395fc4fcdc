vaebenchCodes("mnist-2439b3c7948b",{});
