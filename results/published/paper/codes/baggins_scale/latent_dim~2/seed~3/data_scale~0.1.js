vaebenchCodes("baggins_scale-4914690766c4",{});
