vaebenchCodes("baggins_information-419bc7c7f233",{});
