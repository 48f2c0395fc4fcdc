vaebenchCodes("evidence-b61449ffed52",{"columns":8});
