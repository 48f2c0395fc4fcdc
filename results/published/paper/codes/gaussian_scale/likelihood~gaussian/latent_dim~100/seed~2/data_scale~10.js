vaebenchCodes("gaussian_scale-526355a1cfa9",{});
