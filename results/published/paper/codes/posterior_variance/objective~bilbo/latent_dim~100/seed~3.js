vaebenchCodes("posterior_variance-ba822908feaf",{});
