vaebenchCodes("constant_variance-61ab88253fd0",{});
