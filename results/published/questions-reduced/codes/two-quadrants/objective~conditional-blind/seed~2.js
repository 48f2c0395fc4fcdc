vaebenchCodes("two-quadrants-e1aff727d8a7",{});
