"""The datasets, one module each, their registry, and their prepared files."""
