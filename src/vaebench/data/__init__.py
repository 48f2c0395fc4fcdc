"""The datasets: one module for each source, their registry, and their prepared files."""
