vaebenchCodes("baggins_scale-fea3efcfc516",{});
