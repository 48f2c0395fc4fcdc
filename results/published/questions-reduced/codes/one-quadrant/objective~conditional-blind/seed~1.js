vaebenchCodes("one-quadrant-804c2bdb6ec7",{});
