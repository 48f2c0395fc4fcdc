vaebenchCodes("posterior_variance-1848d3457fba",{});
