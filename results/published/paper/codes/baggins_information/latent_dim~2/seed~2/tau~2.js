vaebenchCodes("baggins_information-f94f655dcbae",{});
