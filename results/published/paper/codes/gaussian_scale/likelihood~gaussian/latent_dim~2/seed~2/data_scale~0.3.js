vaebenchCodes("gaussian_scale-9ff3a4ac7b70",{});
