vaebenchCodes("two-quadrants-431a1a71a523",{});
