vaebenchCodes("latent_scaling-f103088de92a",{});
