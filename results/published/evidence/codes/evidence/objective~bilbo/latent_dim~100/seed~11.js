vaebenchCodes("evidence-e7209676df39",{"columns":8});
