"""From the records of runs to the collected table, and from there to means and intervals."""
