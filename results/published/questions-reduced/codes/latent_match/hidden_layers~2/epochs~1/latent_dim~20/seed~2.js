vaebenchCodes("latent_match-2b4c116104a9",{});
