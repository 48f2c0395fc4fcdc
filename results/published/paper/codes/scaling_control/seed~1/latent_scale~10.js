vaebenchCodes("scaling_control-cafc8ea264d3",{"columns":8});
