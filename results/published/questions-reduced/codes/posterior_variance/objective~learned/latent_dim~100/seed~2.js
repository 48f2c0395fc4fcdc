vaebenchCodes("posterior_variance-58db142dcdf0",{});
