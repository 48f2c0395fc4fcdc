vaebenchCodes("latent_match-dfe965c2e275",{});
