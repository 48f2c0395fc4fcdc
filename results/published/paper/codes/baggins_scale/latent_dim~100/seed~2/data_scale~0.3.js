vaebenchCodes("baggins_scale-20910b9e42f3",{});
