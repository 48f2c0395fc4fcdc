vaebenchCodes("gaussian_scale-662c280ae4c4",{});
