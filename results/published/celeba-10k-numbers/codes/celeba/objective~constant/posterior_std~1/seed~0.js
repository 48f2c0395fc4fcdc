vaebenchCodes("celeba-a67eb742e329",{"columns":8});
