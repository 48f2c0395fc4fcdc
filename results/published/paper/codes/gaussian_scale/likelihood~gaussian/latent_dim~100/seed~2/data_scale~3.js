vaebenchCodes("gaussian_scale-10e80b90800f",{});
