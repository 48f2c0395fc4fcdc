vaebenchCodes("posterior_variance-3576003af1fe",{});
