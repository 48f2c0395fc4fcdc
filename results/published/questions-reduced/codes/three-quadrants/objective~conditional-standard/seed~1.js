vaebenchCodes("three-quadrants-3af0a553a489",{});
