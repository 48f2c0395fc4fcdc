vaebenchCodes("latent_scaling-9dc835924dfc",{});
