vaebenchCodes("evidence-8ef58f1e19ad",{});
