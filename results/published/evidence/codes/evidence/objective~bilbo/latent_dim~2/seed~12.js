vaebenchCodes("evidence-06ca7f946c4d",{});
