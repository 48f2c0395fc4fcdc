vaebenchCodes("latent_match-5d45264ef9bc",{});
