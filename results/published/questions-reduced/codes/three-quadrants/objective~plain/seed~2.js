vaebenchCodes("three-quadrants-04ec6fcad63e",{});
