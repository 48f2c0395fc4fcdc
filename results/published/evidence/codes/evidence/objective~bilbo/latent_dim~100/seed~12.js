vaebenchCodes("evidence-3cd466a95ac1",{});
