vaebenchCodes("posterior_variance-e7209676df39",{});
