vaebenchCodes("evidence-22d32ca15aec",{});
