vaebenchCodes("two-quadrants-b56b5a12a20d",{});
