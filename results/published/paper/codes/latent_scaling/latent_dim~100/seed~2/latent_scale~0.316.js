vaebenchCodes("latent_scaling-bfdc67923249",{});
