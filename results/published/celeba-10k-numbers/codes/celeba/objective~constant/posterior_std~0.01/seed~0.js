vaebenchCodes("celeba-48f3366d6509",{"columns":8});
