vaebenchCodes("evidence-73f8862daaec",{});
