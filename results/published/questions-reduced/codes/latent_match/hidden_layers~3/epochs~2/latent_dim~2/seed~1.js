vaebenchCodes("latent_match-7d38b29d8180",{});
