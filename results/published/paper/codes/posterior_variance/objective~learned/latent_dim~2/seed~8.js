vaebenchCodes("posterior_variance-25ba89bb23bb",{});
