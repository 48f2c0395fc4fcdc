vaebenchCodes("latent_match-0cfabacd0f41",{});
