vaebenchCodes("latent_match-a5c15606031c",{});
