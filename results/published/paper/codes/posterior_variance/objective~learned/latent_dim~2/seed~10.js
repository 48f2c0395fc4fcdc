vaebenchCodes("posterior_variance-13fa38960bf3",{});
