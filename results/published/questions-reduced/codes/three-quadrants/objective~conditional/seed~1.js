vaebenchCodes("three-quadrants-6aa580a58ac6",{});
