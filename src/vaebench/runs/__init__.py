"""Finished runs: their records, their hash, the code behind it, and the store that keeps them."""
