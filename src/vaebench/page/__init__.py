"""The page of a tier, index.html: its results in one file, to read and to explore."""
