vaebenchCodes("latent_scaling-d5d244360ac6",{});
