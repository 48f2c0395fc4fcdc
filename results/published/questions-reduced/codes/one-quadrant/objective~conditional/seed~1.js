vaebenchCodes("one-quadrant-60f8e76c8134",{});
