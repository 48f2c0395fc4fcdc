vaebenchCodes("posterior_variance-02d470aaae17",{});
