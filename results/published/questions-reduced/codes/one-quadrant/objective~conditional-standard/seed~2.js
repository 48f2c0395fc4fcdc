vaebenchCodes("one-quadrant-cf37d86d3ab3",{});
