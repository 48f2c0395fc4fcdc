vaebenchCodes("latent_scaling-fd325bb453df",{});
