vaebenchCodes("gaussian_scale-6cba4e317bf5",{});
