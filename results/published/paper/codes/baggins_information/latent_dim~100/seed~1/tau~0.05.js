vaebenchCodes("baggins_information-e2f10eb179f1",{});
