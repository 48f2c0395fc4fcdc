vaebenchCodes("gaussian_scale-a56c00d1f410",{});
