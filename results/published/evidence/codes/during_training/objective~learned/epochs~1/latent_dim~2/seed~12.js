vaebenchCodes("during_training-05bc4d18388f",{});
