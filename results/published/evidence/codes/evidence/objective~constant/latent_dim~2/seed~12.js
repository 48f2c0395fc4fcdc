vaebenchCodes("evidence-ad5df3e062b2",{});
