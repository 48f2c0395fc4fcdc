vaebenchCodes("evidence-02d470aaae17",{});
