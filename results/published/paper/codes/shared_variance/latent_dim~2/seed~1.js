vaebenchCodes("shared_variance-173409c4089d",{});
