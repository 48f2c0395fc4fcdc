"""The page of a tier, index.html: one file that shows its results and lets a person explore them."""
