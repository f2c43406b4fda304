"""A run's files: the rows, the sums and the closing words, all from what the ledger holds."""
