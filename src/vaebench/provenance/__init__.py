"""Where a result comes from, and whether it is still what was made."""
