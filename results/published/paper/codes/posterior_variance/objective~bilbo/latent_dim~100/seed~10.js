vaebenchCodes("posterior_variance-3194ae643963",{});
