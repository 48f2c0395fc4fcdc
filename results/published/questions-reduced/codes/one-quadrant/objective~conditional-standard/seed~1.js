vaebenchCodes("one-quadrant-ba0cd60dec37",{});
