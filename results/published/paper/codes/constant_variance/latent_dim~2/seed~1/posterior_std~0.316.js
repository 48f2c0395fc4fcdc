vaebenchCodes("constant_variance-1b68ae0bcd3b",{});
