vaebenchCodes("baggins_scale-862fc1758bae",{});
