vaebenchCodes("celeba-6e3162b89d9d",{"columns":8});
