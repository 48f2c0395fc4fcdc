vaebenchCodes("latent_scaling-ba9d0100a393",{});
