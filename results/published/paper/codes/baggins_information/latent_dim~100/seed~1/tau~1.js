vaebenchCodes("baggins_information-28c17abfce1d",{});
