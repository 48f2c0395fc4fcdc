vaebenchCodes("posterior_variance-fad46ab8173e",{});
