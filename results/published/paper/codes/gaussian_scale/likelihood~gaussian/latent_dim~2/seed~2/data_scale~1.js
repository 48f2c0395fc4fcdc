vaebenchCodes("gaussian_scale-747cf8af099d",{});
