vaebenchCodes("posterior_variance-f1d10bd7e0d7",{});
