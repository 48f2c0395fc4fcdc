vaebenchCodes("baggins_information-2101c2a25ba1",{});
