vaebenchCodes("evidence-73f8862daaec",{"columns":8});
