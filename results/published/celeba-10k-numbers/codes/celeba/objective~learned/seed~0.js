vaebenchCodes("celeba-9f242ec0fa31",{"columns":8});
