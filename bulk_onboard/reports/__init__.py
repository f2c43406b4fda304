"""The files of a run: rows, counts and final text, all from the content of the ledger."""
