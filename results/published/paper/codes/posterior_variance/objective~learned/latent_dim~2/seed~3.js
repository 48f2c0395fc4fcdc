vaebenchCodes("posterior_variance-3eac89672310",{});
