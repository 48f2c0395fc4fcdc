vaebenchCodes("constant_variance-7d4840edb182",{});
