vaebenchCodes("constant_variance-9504852c473c",{});
