vaebenchCodes("gaussian_scale-99bfd6b6d42a",{});
