vaebenchCodes("two-quadrants-81c77637431f",{});
