vaebenchCodes("one-quadrant-d3c1b78458ec",{});
