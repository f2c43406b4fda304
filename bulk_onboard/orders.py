"""What the workers of one run tell its leader, and what they are told: one ceiling for all. Pure.

A worker reports about twice a second and gets orders back. The orders name the report that they answer, and
are valid for `LEASE` seconds from the moment at which that report was made, by the worker's own clock. So no
two clocks are ever compared, and orders that lie about, whoever wrote them and when, renew nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Seconds for which a worker may send after it made a report, if the report is answered.
LEASE = 4.0
# Seconds between two reports of a worker, when nothing is urgent.
RENEWAL = 0.5
# A share that is no limit, and a wish for as much as there is.
UNLIMITED = math.inf


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker is doing.

    ``worker``: its name, which no other worker of the run ever has or had. ``number``: of this report, from
    1. ``obeys``: the number of the orders obeyed since before this report was made. ``wants``: requests per
    second that it could send, `UNLIMITED` if requests stand in line. ``sent``, ``throttled``: requests since
    it began. ``pauses``, ``pause``: how often Leaf asked it to wait, and seconds left of that.

    ``epoch``: the rate of all that the rest is about; ``rate``: the rate of all when a request was last
    refused as one too many; ``answered``, ``refused``, ``in_a_row``: as `Answers` counts them; ``taken``:
    what Leaf took of the worker's last second; ``age``: seconds since its first request, or since a pause.
    """

    worker: str
    number: int
    obeys: int = 0
    wants: float = UNLIMITED
    sent: int = 0
    throttled: int = 0
    pauses: int = 0
    pause: float = 0.0
    epoch: int = 0
    rate: float = 0.0
    answered: int = 0
    refused: int = 0
    in_a_row: int = 0
    taken: int = 0
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker has to keep to.

    ``number``: grows with every new share. ``answers``: the number of the report that they answer.
    ``share``: requests per second, 0 for none at all, `UNLIMITED` for no ceiling. ``rate``: of all workers, 0
    for no ceiling; ``epoch`` grows with all that is learned of it. ``pause``: seconds without a request, from
    now on. ``weighing``: refusals were reported, and what follows from them comes next.
    """

    number: int = 0
    answers: int = 0
    share: float = 0.0
    rate: float = 0.0
    epoch: int = 0
    pause: float = 0.0
    weighing: bool = False
