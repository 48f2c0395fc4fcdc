"""One training job on one machine: its device, its checkpoint and its place in Slurm."""
