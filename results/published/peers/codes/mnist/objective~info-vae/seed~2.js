vaebenchCodes("mnist-236efd26aabd",{});
