vaebenchCodes("posterior_variance-6e540b709e61",{});
