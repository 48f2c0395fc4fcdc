vaebenchCodes("gaussian_scale-eda533dd2eb6",{});
