vaebenchCodes("scaling_control-7daf43f505d1",{});
