vaebenchCodes("constant_variance-dae0167a9186",{});
