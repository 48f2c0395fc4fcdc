vaebenchCodes("gaussian_scale-23ca146625b5",{});
