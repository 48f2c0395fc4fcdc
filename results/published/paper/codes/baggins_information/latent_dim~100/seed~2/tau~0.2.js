vaebenchCodes("baggins_information-fea3efcfc516",{"columns":8});
