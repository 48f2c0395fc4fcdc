"""How well the aggregated posterior of a trained run matches its prior, and what follows."""
