vaebenchCodes("mnist-4904d22029c1",{});
