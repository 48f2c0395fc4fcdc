vaebenchCodes("constant_variance-dce3f42185ba",{});
