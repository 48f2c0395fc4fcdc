vaebenchCodes("one-quadrant-3f055dbd3e28",{"columns":8});
