vaebenchCodes("celeba-357c3f0bc414",{"columns":8});
