vaebenchCodes("posterior_variance-f2333ef04ec1",{});
