vaebenchCodes("objectives-077fea4c3fb0",{});
