vaebenchCodes("posterior_variance-8b231134cec0",{});
