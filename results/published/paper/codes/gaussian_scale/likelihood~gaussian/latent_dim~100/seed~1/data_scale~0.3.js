vaebenchCodes("gaussian_scale-849782a92806",{});
