vaebenchCodes("baggins_information-594107b1a3ca",{});
