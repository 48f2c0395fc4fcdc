vaebenchCodes("baggins_information-d64caecb0b5b",{});
