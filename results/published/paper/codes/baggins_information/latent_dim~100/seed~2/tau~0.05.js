vaebenchCodes("baggins_information-1d4a56c031c3",{});
