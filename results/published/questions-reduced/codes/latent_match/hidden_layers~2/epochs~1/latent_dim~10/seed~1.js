vaebenchCodes("latent_match-5646a7003593",{"columns":8});
