vaebenchCodes("latent_match-df3991eac248",{});
