vaebenchCodes("baggins_scale-8649c4be9ced",{});
