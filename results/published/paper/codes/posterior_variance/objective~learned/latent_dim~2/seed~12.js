vaebenchCodes("posterior_variance-6fd3748e9d1e",{});
