"""The figures, one module each, and their registry."""
