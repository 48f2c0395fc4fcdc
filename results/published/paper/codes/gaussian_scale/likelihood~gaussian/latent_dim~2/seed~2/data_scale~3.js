vaebenchCodes("gaussian_scale-eaa2a6f3cfa5",{});
