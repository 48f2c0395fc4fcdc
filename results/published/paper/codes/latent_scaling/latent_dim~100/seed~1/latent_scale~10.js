vaebenchCodes("latent_scaling-aff7f0151b69",{});
