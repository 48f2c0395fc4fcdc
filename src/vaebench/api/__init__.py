"""Trained models in Python: train, load, encode, decode, sample. `vaebench` exports the names."""
