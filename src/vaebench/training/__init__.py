"""Training packs of runs: streams, the loop, its state, and the store of what is finished."""
