vaebenchCodes("constant_variance-2d42113a8559",{});
