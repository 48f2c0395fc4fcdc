vaebenchCodes("constant_variance-89fa0dd872cf",{});
