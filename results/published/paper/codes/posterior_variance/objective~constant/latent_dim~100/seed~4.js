vaebenchCodes("posterior_variance-64b12f730f03",{});
