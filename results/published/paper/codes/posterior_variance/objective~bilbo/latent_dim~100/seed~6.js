vaebenchCodes("posterior_variance-d1096d1ddcc2",{"columns":8});
