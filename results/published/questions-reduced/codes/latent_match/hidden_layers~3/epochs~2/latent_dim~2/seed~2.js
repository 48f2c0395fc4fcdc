vaebenchCodes("latent_match-5b5fa286668e",{});
