vaebenchCodes("latent_match-777fa2b9c732",{});
