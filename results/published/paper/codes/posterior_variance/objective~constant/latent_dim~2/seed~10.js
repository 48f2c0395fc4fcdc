vaebenchCodes("posterior_variance-56e4ac736d4d",{});
