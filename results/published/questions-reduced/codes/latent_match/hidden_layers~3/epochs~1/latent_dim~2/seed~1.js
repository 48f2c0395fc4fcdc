vaebenchCodes("latent_match-f1300e433c53",{});
