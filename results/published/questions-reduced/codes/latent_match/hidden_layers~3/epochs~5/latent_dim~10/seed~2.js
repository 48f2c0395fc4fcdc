vaebenchCodes("latent_match-05b46b633f80",{});
