vaebenchCodes("gaussian_scale-192a396f20cc",{});
