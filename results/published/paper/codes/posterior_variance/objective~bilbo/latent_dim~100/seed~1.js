vaebenchCodes("posterior_variance-9ddaf17f2d21",{});
