vaebenchCodes("gaussian_scale-d8502a83e451",{});
