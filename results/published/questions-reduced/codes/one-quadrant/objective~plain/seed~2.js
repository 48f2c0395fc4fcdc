vaebenchCodes("one-quadrant-3f055dbd3e28",{});
