vaebenchCodes("three-quadrants-04ec6fcad63e",{"columns":8});
