vaebenchCodes("baggins_information-d27bf261f463",{});
