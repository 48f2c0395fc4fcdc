vaebenchCodes("latent_match-e2f41857bd67",{});
