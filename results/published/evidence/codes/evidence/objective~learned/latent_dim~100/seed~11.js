vaebenchCodes("evidence-b61449ffed52",{});
