vaebenchCodes("baggins_scale-fea3efcfc516",{"columns":8});
