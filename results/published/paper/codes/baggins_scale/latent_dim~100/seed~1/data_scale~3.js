vaebenchCodes("baggins_scale-7aaa87b7be6b",{});
