vaebenchCodes("three-quadrants-f45e171ac600",{"columns":8});
