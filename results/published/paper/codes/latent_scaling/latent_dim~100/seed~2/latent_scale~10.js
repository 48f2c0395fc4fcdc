vaebenchCodes("latent_scaling-5a74dc6f1c68",{});
