"""Networks whose parameters are stacked over the runs of a pack."""
