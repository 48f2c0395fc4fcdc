vaebenchCodes("mnist-5afd9d5e5124",{});
