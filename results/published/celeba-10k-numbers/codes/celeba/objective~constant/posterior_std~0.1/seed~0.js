vaebenchCodes("celeba-924860755c43",{"columns":8});
