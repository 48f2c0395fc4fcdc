vaebenchCodes("latent_match-920662df7aaa",{});
