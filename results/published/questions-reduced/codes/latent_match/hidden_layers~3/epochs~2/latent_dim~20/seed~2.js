vaebenchCodes("latent_match-3c1cf5b029e8",{});
