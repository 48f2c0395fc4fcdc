vaebenchCodes("during_training-b7a89bf7394f",{});
