vaebenchCodes("posterior_variance-078bfa296d96",{});
