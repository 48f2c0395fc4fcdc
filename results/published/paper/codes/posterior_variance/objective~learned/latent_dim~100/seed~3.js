vaebenchCodes("posterior_variance-696cd3f7e6d0",{});
