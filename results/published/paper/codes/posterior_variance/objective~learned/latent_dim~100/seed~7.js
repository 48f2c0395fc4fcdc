vaebenchCodes("posterior_variance-078bfa296d96",{"columns":8});
