vaebenchCodes("three-quadrants-187f043826d1",{});
