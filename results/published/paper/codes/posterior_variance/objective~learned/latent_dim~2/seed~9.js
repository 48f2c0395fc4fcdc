vaebenchCodes("posterior_variance-7ce67408bb99",{});
