vaebenchCodes("baggins_scale-cac49c17ddd0",{});
