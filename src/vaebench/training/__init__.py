"""The training of packs: the step on each kind of device, the loop and the final metrics."""
