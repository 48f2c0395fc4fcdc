vaebenchCodes("latent_scaling-69a28c66c5a2",{});
