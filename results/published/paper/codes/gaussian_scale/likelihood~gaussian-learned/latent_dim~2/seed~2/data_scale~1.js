vaebenchCodes("gaussian_scale-0557b0e149a6",{});
