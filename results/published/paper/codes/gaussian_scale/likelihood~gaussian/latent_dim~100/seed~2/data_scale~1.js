vaebenchCodes("gaussian_scale-9877615750e3",{"columns":8});
