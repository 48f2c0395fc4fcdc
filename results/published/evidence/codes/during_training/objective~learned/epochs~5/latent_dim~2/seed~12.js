vaebenchCodes("during_training-0d780441d55a",{});
