vaebenchCodes("evidence-6fd3748e9d1e",{});
