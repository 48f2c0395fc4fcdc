vaebenchCodes("baggins_information-c405ddc12c5e",{});
