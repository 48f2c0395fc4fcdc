vaebenchCodes("one-quadrant-09bffa46e178",{});
