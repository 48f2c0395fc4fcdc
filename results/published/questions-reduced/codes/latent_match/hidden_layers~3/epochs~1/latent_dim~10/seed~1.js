vaebenchCodes("latent_match-8573901dc146",{});
