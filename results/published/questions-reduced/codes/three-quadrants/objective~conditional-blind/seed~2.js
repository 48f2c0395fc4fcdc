vaebenchCodes("three-quadrants-6bb0a847db63",{});
