vaebenchCodes("three-quadrants-187f043826d1",{"columns":8});
