vaebenchCodes("latent_match-5646a7003593",{});
