vaebenchCodes("gaussian_scale-f6ae8450116b",{});
