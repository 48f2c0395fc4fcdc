vaebenchCodes("posterior_variance-b8268eb47a3a",{});
