vaebenchCodes("latent_scaling-9d31e0f8b5b6",{});
