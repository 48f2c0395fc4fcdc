vaebenchCodes("gaussian_scale-1c19a3d41ca7",{});
