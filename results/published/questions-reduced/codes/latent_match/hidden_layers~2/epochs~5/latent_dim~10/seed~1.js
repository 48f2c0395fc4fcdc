vaebenchCodes("latent_match-0fa7122e2b45",{});
