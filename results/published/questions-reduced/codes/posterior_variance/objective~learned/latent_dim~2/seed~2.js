vaebenchCodes("posterior_variance-fde09d01f9ab",{});
