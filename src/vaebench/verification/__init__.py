"""What a verification makes again: the results of a tier from its records, and runs by training."""
