vaebenchCodes("posterior_variance-12acc591b7a5",{});
