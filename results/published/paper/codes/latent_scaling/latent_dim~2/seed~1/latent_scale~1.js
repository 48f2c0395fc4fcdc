vaebenchCodes("latent_scaling-168f339f283b",{});
