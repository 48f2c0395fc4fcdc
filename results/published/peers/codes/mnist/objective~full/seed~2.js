vaebenchCodes("mnist-a09c9197dbc7",{});
