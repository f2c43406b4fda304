"""One run on several processes or machines: dask starts them, the ledger's database coordinates them.

    workers  in the leader: start or find the workers, share out the rows to do, collect what comes of them
    task     in a worker: read the rows of a part again and take them to their outcomes
    slots    in both: send only in the slots that the database hands out

The leader is the process that was started. It does all that one process does in other runs (it reads, checks,
compares, asks, checks events and writes the report) but for sending the rows to do, unless they are few.
"""
