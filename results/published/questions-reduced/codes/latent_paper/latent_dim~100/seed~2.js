vaebenchCodes("latent_paper-58db142dcdf0",{"columns":8});
