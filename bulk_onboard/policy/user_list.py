"""Decide whether to read Leaf's list of users, and what it says about a row. Pure.

A page shows 100 growers with the status of their credentials, but no events. The list is a hint, not proof: a
sample of it is compared with single requests, and after one contradiction, then or later, each grower gets
its own request. The list saves requests for growers that it shows as connected. All others get their own
request before anything is sent, because a page is too old by then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bulk_onboard.domain.model import Absent, Exists, Health, Row, Verdict
from bulk_onboard.domain.users import Page
from bulk_onboard.policy.credentials import decide
from bulk_onboard.policy.progress import Action, Finish, Progress, Step
from bulk_onboard.policy.retry import Moment, Next, Policy

PAGE = 100
# For fewer rows than one page shows, the list is not read.
FEWEST = 100
# Single requests that compare the list with the truth, in either direction.
SAMPLE = 20
# The largest number of pages per row: it is not known in advance how many growers they show as connected.
PAGES_PER_ROW = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """The length of the list. ``page``: users on a full page."""

    users: int
    page: int

    @property
    def pages(self) -> int:
        """The number of pages."""
        return math.ceil(self.users / self.page)


def sized(start: Page, asked: int = PAGE) -> Size | None:
    """Return the size by the first page, of which ``asked`` users were requested; None if it has no total.

    Leaf may show fewer users at a time.
    """
    shown, total = len(start.users), start.total
    if not shown:
        return Size(0, asked)
    if total is None or total < shown:
        return None
    return Size(total, shown if shown < min(asked, total) else asked)


def pays(rows: int, size: Size) -> bool:
    """Return whether reading the pages saves requests: no more than there are users."""
    return size.pages <= int(min(rows, size.users) * PAGES_PER_ROW) - 2 * SAMPLE


def choice(rows: int, size: Size | None) -> str:
    """Return the message that says how Leaf is asked about this number of growers, and why."""
    if size is None:
        return (
            f"Leaf does not show how long its list of users is: asking about {rows:,} growers one at a time"
        )
    if not pays(rows, size):
        listed = f"{size.users:,} users" if size.users else "no users"
        return f"Leaf lists {listed}: asking about {rows:,} growers one at a time takes fewer requests"
    return (
        f"Leaf lists {size.users:,} users: reading {size.pages:,} pages first. Of {rows:,} growers, only"
        " those that the pages do not show as connected are asked about one at a time"
    )


@dataclass(frozen=True, slots=True)
class Spot:
    """A grower to verify with a single request: does Leaf hold credentials for the provider, as listed?"""

    provider: str
    leaf_user_id: str
    connected: bool

    def agrees(self, verdict: Verdict) -> bool | None:
        """Return whether an answer agrees with the list; None if it does not decide."""
        match verdict:
            case Exists():
                return self.connected
            case Absent(bare, usual) if usual or not bare:
                return not self.connected
            case _:
                return None


def begin(row: Row, start: Progress, hint: Exists | Absent | None, policy: Policy) -> Step:
    """Return the first step of a row that starts at ``start``, given what the list shows of it.

    The hint replaces the answer to the first request, if that ends the row. Everything else has to be asked
    about, and so does a row with a POST that may have been stored. A page says which users it is about, so
    credentials that it shows are not of another grower.
    """
    if hint is None or row.open_intent is not None or start.action is not Action.ASK:
        return Next(start)
    if isinstance(hint, Exists) and hint.credential:
        start = start._replace(seen=hint.credential.id)
    step = decide(start, hint, policy, Moment(0.0, 0.0))
    if isinstance(step, Finish):
        return replace(step, message=step.message or "as Leaf's list of users shows")
    return Next(start)


def due_before(now: datetime, age: timedelta, growers: int) -> datetime:
    """Return the time before which a last check counts as too old.

    ``growers``: the number of checks that are older than ``age``. Where these are enough to read pages, the
    pages are also used for what would be due soon: reading them again some nights later costs as much again.
    """
    return now - (age if growers < FEWEST else age / 2)


def page_is_enough(health: str, recorded_id: str, listed_id: str, listed_status: str) -> bool:
    """Return whether a page confirms the health that the last check found.

    That is so for a grower that was healthy, as long as the page shows `OK` for the very same credentials.
    ``recorded_id``: of the credentials that were checked, "" if it is not known.
    """
    is_same = listed_id != "" and recorded_id in {"", listed_id}
    return health == Health.HEALTHY and is_same and listed_status.upper() == "OK"
