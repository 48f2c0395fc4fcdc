"""What a run is, which runs an experiment and a tier have, and which jobs train them."""
