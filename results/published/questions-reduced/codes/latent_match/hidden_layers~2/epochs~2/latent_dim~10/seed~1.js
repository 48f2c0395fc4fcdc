vaebenchCodes("latent_match-1f0093b3d11f",{});
