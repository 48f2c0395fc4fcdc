"""Settings that need not be given to train a single run. A config names them all."""

DEFAULTS = {"network": "mlp", "batch_size": 300, "learning_rate": 0.001}
MLP_DEFAULTS = {"hidden_units": 200, "hidden_layers": 3}
"""Of the network `mlp`, as in the paper."""
