vaebenchCodes("constant_variance-6837e963bdd4",{});
