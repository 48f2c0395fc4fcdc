vaebenchCodes("latent_paper-58db142dcdf0",{});
