vaebenchCodes("latent_match-4e25530b5b9b",{});
