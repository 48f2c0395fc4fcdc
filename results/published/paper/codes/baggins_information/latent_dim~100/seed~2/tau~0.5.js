vaebenchCodes("baggins_information-45031b7b975c",{});
