vaebenchCodes("baggins_information-87e5271c0809",{});
