vaebenchCodes("gaussian_scale-1747c6066df6",{});
