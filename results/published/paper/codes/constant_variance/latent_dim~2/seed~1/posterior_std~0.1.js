vaebenchCodes("constant_variance-ae35ccfe9006",{});
