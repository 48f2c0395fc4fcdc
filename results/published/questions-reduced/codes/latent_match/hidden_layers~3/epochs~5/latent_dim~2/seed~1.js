vaebenchCodes("latent_match-f56443ce7aa6",{});
