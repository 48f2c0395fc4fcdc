vaebenchCodes("gaussian_scale-76a7e019fe11",{});
