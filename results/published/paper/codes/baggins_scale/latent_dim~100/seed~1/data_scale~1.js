vaebenchCodes("baggins_scale-5c9fe846865c",{});
