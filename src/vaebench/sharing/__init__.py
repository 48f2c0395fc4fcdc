"""Exchange of tiers with other clones: archives, DVC, and the adoption of received tiers."""
