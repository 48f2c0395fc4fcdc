vaebenchCodes("latent_match-a976d9b6e10b",{});
