vaebenchCodes("three-quadrants-98645659a0b9",{});
