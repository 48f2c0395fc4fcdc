vaebenchCodes("scaling_control-94f138d17d44",{});
