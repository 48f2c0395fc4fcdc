vaebenchCodes("mnist-d8bb5f512a8b",{});
