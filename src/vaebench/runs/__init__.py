"""Finished runs: their records, their hash, the code that decides them, and their store."""
