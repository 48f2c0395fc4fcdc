vaebenchCodes("two-quadrants-8b71324c3dc1",{});
