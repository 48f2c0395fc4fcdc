vaebenchCodes("mnist-f803613d89e4",{});
