vaebenchCodes("scaling_control-cafc8ea264d3",{});
