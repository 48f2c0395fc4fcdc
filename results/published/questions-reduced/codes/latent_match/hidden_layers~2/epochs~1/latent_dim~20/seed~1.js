vaebenchCodes("latent_match-394958789775",{"columns":8});
