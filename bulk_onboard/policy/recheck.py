"""When connected growers are checked again, and when a page of Leaf's list of users is enough for that. Pure.

A page shows 100 growers, each with the status of its credentials, but no events. So it is enough for a grower
that the last check proved healthy, as long as the page shows `OK` for the very same credentials. Everything
else is asked about singly, also what a page shows as broken: a list may lie.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bulk_onboard.model import Health

# For fewer growers than one page shows, the list of users is not read.
FEWEST = 100


def due_before(now: datetime, age: timedelta, growers: int) -> datetime:
    """Return the time before which a last check counts as too old.

    ``growers``: how many checks are older than ``age``. Where these are enough to read pages, the pages are
    also used for what would be due soon: reading them again some nights later costs as much again.
    """
    return now - (age if growers < FEWEST else age / 2)


def page_is_enough(health: str, recorded_id: str, listed_id: str, listed_status: str) -> bool:
    """Return whether a page confirms the health that the last check found.

    ``recorded_id``: of the credentials that were checked, "" if it is not known.
    """
    is_same = listed_id != "" and recorded_id in {"", listed_id}
    return health == Health.HEALTHY and is_same and listed_status.upper() == "OK"
