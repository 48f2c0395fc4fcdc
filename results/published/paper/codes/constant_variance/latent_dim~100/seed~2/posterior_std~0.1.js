vaebenchCodes("constant_variance-9a0be32039d3",{});
