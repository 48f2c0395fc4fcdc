vaebenchCodes("posterior_variance-b81ecf01d3d0",{});
