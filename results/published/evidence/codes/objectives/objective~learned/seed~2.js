vaebenchCodes("objectives-4be26c893e1a",{});
