vaebenchCodes("posterior_variance-b61449ffed52",{});
