vaebenchCodes("three-quadrants-98645659a0b9",{"columns":8});
