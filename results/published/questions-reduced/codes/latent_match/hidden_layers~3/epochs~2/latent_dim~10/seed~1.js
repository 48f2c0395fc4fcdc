vaebenchCodes("latent_match-91a24c6feec2",{});
