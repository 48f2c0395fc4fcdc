vaebenchCodes("posterior_variance-a7af55b28189",{});
