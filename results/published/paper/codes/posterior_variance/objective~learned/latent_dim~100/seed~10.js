vaebenchCodes("posterior_variance-e06aa820aa2d",{});
