vaebenchCodes("baggins_scale-9b26cebc4ee4",{});
