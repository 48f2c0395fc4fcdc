vaebenchCodes("evidence-e7209676df39",{});
