vaebenchCodes("latent_paper-1b0a139f7afe",{});
