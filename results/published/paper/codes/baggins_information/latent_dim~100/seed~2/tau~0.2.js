vaebenchCodes("baggins_information-fea3efcfc516",{});
