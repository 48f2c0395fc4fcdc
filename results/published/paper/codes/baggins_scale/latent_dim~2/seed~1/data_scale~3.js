vaebenchCodes("baggins_scale-c39e059a4568",{});
