"""The objectives that a VAE can be trained with, one function each.

To add one, write a function in a module here, or in a file of your own that a config names under
`plugins`, and put one `@objective(...)` line above it. The function takes a `core.batch.Batch`. It
returns the value to maximise for each run of the pack, in nats per example. Config, command line,
paths, evaluation and figures read the registry.

`paper.py` has the paper's objectives, `peers.py` others that they are compared with, and
`predictive.py` those of conditional models.
"""

from vaebench.objectives import paper, peers, predictive
from vaebench.objectives.registry import OBJECTIVES, Bound, Objective, objective

__all__ = ["OBJECTIVES", "Bound", "Objective", "objective", "paper", "peers", "predictive"]
