"""The evaluation of a trained pack: its bounds on whole sets, and the arrays for figures."""
