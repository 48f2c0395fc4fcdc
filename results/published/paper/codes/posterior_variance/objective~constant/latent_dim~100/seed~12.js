vaebenchCodes("posterior_variance-22d32ca15aec",{});
