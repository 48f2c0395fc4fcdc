"""The figures, one module each. `experiment/figures.py` registers them."""
