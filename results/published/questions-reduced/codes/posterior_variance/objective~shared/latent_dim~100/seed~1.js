vaebenchCodes("posterior_variance-dbe45f7d9ad5",{});
