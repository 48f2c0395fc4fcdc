vaebenchCodes("shared_variance-c234fd254fa8",{});
