vaebenchCodes("posterior_variance-c83cbfde6864",{});
