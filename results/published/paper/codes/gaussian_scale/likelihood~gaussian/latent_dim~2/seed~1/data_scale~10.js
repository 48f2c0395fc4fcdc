vaebenchCodes("gaussian_scale-a0be7c64659d",{});
