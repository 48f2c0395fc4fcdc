vaebenchCodes("latent_scaling-d595cd4ac33a",{});
