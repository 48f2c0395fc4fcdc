vaebenchCodes("latent_match-0a9b2cec2fa2",{});
