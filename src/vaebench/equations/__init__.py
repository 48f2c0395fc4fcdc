"""The paper's Equations 4 to 30, measured on the networks of runs."""
