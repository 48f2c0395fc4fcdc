vaebenchCodes("mnist-adcbb18b4efc",{});
