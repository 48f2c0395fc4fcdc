vaebenchCodes("posterior_variance-74631731710f",{});
