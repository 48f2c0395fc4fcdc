vaebenchCodes("posterior_variance-d74f6ba9ab35",{});
