vaebenchCodes("evidence-3576003af1fe",{});
