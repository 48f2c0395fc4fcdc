vaebenchCodes("gaussian_scale-14f37e1db9b7",{});
