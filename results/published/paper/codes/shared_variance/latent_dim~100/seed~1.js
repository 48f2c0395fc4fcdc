vaebenchCodes("shared_variance-045cef956b4b",{});
