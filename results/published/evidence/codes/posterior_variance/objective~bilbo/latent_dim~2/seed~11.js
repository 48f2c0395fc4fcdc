vaebenchCodes("posterior_variance-73f8862daaec",{});
