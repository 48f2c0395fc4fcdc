vaebenchCodes("posterior_variance-ad5df3e062b2",{});
