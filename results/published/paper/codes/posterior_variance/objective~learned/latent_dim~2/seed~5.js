vaebenchCodes("posterior_variance-4b640b7fa113",{});
