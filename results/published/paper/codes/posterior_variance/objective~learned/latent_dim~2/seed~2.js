vaebenchCodes("posterior_variance-f103088de92a",{});
