vaebenchCodes("one-quadrant-e21bedca306f",{});
