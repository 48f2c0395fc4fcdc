vaebenchCodes("baggins_information-addcc7b1e309",{});
