vaebenchCodes("baggins_scale-8f2ccbd055de",{});
