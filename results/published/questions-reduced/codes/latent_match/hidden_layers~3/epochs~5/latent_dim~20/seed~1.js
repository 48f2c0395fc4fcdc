vaebenchCodes("latent_match-f426c151f5c0",{});
