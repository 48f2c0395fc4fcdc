"""The claim ledger: what the paper says, a statistic for each claim, and a verdict."""
