vaebenchCodes("latent_match-3c0efc1d9564",{});
