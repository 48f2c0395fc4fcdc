vaebenchCodes("baggins_scale-4b6664074436",{});
