vaebenchCodes("baggins_scale-d27bf261f463",{});
