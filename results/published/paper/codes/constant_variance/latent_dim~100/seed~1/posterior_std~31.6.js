vaebenchCodes("constant_variance-c04b4f946791",{});
