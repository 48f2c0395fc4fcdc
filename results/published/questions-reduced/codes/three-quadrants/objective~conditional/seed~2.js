vaebenchCodes("three-quadrants-0faddb3af6f6",{});
