"""One run on several processes or machines, with dask as the engine and the same guarantees.

    job        what goes to a worker and what comes back: plain values, no secret among them
    door       the functions that dask calls on a worker
    station    what a worker process has for one run, whatever part it works on
    work       what a worker does with a part: read it through, onboard it, check its events
    fleet      the workers, as dask knows them
    lead       the run, from the side of the process that was started
    talk       what workers and leader tell each other, as text

Workers read rows from the source themselves and settings from their own surroundings. They speak to the
leader through the ledger (see ledger/crew.py): who dies, be it a worker, the scheduler or the leader, leaves
intents behind, and whoever goes on asks Leaf first.
"""
