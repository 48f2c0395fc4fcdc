vaebenchCodes("posterior_variance-69a28c66c5a2",{});
