vaebenchCodes("one-quadrant-09bffa46e178",{"columns":8});
