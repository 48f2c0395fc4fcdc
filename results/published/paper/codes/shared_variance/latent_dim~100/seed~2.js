vaebenchCodes("shared_variance-bbc6972756de",{});
