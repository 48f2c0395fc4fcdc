vaebenchCodes("latent_scaling-9a6c6d1a5c52",{});
