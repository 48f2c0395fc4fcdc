vaebenchCodes("latent_paper-fde09d01f9ab",{});
