vaebenchCodes("three-quadrants-f45e171ac600",{});
