vaebenchCodes("posterior_variance-38cba270560b",{});
