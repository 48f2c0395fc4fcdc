vaebenchCodes("latent_match-394958789775",{});
