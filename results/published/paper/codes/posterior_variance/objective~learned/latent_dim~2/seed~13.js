vaebenchCodes("posterior_variance-6fbc27538669",{});
