"""One run on several processes or machines: dask starts them, the ledger's database coordinates them.

The leader, which was started, does all that a single process does, but its workers send the rows to do.
"""
