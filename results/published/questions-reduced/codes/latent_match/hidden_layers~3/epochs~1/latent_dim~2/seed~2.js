vaebenchCodes("latent_match-d8779f76fcad",{});
