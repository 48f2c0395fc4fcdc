vaebenchCodes("posterior_variance-ee5275b27aa7",{});
