vaebenchCodes("latent_scaling-4d462b9af5dd",{});
