vaebenchCodes("baggins_scale-cccf4a0cdc69",{});
