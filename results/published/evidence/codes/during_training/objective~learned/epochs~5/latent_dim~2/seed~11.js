vaebenchCodes("during_training-6cfed866d3d7",{});
