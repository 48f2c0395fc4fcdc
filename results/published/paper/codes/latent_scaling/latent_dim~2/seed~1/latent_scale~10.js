vaebenchCodes("latent_scaling-b807a84b14a1",{});
