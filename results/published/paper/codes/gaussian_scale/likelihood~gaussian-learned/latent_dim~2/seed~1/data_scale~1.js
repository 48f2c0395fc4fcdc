vaebenchCodes("gaussian_scale-0c346247aafd",{});
