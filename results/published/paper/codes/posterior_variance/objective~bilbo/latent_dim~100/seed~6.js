vaebenchCodes("posterior_variance-d1096d1ddcc2",{});
