vaebenchCodes("baggins_scale-4322321c1e12",{});
