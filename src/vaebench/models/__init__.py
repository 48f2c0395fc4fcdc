"""The networks, one module each. `networks.py` registers them."""
