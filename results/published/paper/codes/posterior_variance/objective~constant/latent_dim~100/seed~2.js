vaebenchCodes("posterior_variance-460661baf68e",{"columns":8});
