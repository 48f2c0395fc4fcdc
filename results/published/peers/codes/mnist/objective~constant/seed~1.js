vaebenchCodes("mnist-4cdd38dffcfe",{});
