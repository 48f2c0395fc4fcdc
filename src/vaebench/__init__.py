"""A reproducible benchmark of variational auto-encoder objectives."""

__version__ = "0.1.0"
