vaebenchCodes("latent_match-897664279b49",{});
