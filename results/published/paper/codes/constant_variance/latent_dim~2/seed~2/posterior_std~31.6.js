vaebenchCodes("constant_variance-e3d3164e2e26",{});
