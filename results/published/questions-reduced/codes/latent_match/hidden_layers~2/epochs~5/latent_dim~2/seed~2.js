vaebenchCodes("latent_match-df3991eac248",{"columns":8});
