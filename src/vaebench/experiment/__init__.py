"""Settings of a run, grids of runs (experiments), config files (tiers), and training jobs."""
