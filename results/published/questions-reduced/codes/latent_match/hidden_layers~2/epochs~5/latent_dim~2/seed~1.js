vaebenchCodes("latent_match-99fd0c33c9e0",{});
