"""The execution of a training job: device, checkpoints, the session, and the Slurm job it is in."""
