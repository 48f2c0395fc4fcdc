vaebenchCodes("gaussian_scale-122b79d050fa",{});
