vaebenchCodes("posterior_variance-dae0167a9186",{});
