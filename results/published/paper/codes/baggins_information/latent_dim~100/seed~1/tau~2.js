vaebenchCodes("baggins_information-fe5fc5eab1d1",{});
