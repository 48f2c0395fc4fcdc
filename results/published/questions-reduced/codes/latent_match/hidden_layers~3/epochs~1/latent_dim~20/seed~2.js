vaebenchCodes("latent_match-897664279b49",{"columns":8});
