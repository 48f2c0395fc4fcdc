vaebenchCodes("two-quadrants-6474e297ae63",{"columns":8});
