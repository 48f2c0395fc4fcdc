vaebenchCodes("posterior_variance-06ca7f946c4d",{});
