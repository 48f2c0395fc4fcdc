vaebenchCodes("posterior_variance-b24fba0aacde",{});
