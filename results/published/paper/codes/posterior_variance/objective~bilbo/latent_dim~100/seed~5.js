vaebenchCodes("posterior_variance-50b0f04791a4",{});
