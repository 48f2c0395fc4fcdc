vaebenchCodes("posterior_variance-9d31e0f8b5b6",{});
