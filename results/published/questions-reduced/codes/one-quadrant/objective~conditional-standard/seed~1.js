vaebenchCodes("one-quadrant-ba0cd60dec37",{"columns":8});
