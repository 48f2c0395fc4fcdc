vaebenchCodes("mnist-ffb3ab850e7b",{});
