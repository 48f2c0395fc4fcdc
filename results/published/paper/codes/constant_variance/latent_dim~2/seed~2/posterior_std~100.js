vaebenchCodes("constant_variance-e8697ddec86d",{});
