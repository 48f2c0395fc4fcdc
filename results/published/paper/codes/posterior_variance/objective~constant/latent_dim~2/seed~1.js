vaebenchCodes("posterior_variance-0c8d9af3cb31",{});
