vaebenchCodes("latent_paper-e1bd086f8c2c",{});
