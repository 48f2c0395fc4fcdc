vaebenchCodes("baggins_scale-71facab67113",{});
