vaebenchCodes("latent_match-89e8bd9e8d1b",{});
