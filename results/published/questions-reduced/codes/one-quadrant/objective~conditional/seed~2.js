vaebenchCodes("one-quadrant-e21bedca306f",{"columns":8});
