vaebenchCodes("constant_variance-5e7c64c34aa8",{});
