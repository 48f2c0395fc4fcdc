vaebenchCodes("latent_match-cc8979afdce1",{"columns":8});
