vaebenchCodes("evidence-66085911f019",{});
