vaebenchCodes("baggins_information-5c9fe846865c",{});
