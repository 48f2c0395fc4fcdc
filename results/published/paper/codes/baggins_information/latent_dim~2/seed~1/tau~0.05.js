vaebenchCodes("baggins_information-0012f730435a",{});
