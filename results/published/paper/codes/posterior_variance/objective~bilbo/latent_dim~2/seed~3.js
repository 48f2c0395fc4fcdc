vaebenchCodes("posterior_variance-7a81d7e20922",{});
