vaebenchCodes("baggins_information-7ab43fd6ebdd",{});
