vaebenchCodes("celeba-57890770d919",{"columns":8});
