vaebenchCodes("gaussian_scale-475fb3ae3e45",{});
