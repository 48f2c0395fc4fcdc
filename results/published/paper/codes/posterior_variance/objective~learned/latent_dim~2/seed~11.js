vaebenchCodes("posterior_variance-66085911f019",{});
