vaebenchCodes("latent_match-cf9eea7b4168",{});
