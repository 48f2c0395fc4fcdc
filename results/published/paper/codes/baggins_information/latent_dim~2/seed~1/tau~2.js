vaebenchCodes("baggins_information-00ccd945ec23",{});
