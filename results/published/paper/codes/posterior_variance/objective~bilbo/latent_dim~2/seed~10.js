vaebenchCodes("posterior_variance-41ff1fc4d66e",{});
