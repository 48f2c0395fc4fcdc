vaebenchCodes("latent_scaling-6c5ffd2f825b",{});
