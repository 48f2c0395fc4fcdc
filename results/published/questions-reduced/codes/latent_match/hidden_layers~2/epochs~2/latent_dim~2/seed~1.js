vaebenchCodes("latent_match-b86746722466",{"columns":8});
