vaebenchCodes("two-quadrants-4d0ec9f720eb",{});
