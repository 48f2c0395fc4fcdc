vaebenchCodes("posterior_variance-9910f2bf45f7",{});
