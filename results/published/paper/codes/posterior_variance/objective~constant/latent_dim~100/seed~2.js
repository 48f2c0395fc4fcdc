vaebenchCodes("posterior_variance-460661baf68e",{});
