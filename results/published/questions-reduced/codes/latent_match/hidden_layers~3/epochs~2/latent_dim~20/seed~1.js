vaebenchCodes("latent_match-512dc5f0ea11",{});
