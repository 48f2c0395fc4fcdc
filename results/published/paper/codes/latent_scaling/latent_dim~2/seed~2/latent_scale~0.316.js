vaebenchCodes("latent_scaling-690c84503734",{});
