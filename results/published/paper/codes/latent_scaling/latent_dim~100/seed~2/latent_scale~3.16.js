vaebenchCodes("latent_scaling-dff4abfefeae",{});
