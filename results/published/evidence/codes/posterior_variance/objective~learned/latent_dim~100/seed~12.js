vaebenchCodes("posterior_variance-8ef58f1e19ad",{});
