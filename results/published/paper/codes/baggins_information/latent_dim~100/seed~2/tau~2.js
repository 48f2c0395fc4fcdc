vaebenchCodes("baggins_information-f58595966132",{});
