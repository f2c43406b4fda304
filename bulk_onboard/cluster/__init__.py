"""One run on several processes or machines: dask starts them, the ledger's database coordinates them.

The leader is the process that was started. It does all that one process does in other runs, but for sending
the rows to do unless they are few: that is done by tasks in its workers. All send in slots of the database.
"""
