vaebenchCodes("baggins_information-2dc01827140c",{});
