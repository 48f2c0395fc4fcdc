vaebenchCodes("two-quadrants-9158e64b5d38",{});
