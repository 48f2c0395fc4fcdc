vaebenchCodes("posterior_variance-3cd466a95ac1",{});
