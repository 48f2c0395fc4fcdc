"""The collected table of a tier's runs, and means and intervals over seeds."""
