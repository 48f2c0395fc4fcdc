vaebenchCodes("posterior_variance-eddc736d4d20",{});
