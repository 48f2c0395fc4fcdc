vaebenchCodes("baggins_information-017464b03816",{});
