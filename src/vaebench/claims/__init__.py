"""The claims of the paper, a statistic for each of them, and their verdicts."""
