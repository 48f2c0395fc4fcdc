vaebenchCodes("gaussian_scale-b6c93b81b3aa",{});
