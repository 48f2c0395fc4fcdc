vaebenchCodes("two-quadrants-6474e297ae63",{});
