vaebenchCodes("baggins_scale-759e563e0cba",{});
