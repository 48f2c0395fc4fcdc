vaebenchCodes("latent_match-05c146591836",{});
