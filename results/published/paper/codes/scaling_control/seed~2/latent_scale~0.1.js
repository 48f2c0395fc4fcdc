vaebenchCodes("scaling_control-23c0fec980e3",{});
