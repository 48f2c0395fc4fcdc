vaebenchCodes("posterior_variance-12351d0505e8",{});
