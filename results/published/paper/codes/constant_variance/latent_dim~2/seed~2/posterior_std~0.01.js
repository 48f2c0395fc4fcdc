vaebenchCodes("constant_variance-2fdc56525bae",{});
