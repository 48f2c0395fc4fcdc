vaebenchCodes("latent_match-cc8979afdce1",{});
