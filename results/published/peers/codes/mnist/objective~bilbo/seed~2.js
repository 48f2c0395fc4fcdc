vaebenchCodes("mnist-5eb984a5c9dd",{});
