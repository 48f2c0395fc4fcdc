"""Attesting that two versions of the code compute the same, by training a golden set with both."""
