vaebenchCodes("baggins_scale-419bc7c7f233",{});
