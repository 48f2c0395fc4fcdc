vaebenchCodes("latent_scaling-c2c8522a9065",{});
