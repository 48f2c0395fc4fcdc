vaebenchCodes("latent_match-b12ad51eabb4",{});
