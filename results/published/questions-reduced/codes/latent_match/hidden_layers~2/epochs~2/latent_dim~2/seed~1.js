vaebenchCodes("latent_match-b86746722466",{});
