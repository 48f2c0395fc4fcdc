vaebenchCodes("posterior_variance-dd710eaac672",{});
