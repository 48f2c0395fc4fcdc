vaebenchCodes("latent_scaling-cd8527b58e36",{});
