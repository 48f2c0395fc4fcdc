vaebenchCodes("gaussian_scale-9877615750e3",{});
