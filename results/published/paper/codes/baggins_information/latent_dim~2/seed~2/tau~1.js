vaebenchCodes("baggins_information-09d3510cdb69",{});
