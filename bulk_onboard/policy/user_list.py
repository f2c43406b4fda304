"""Who is connected already? Asking Leaf in pages of its users, or one by one: which is cheaper, and what a
list is worth. Pure.

A list is a hint, not proof: a sample of it is compared with single requests, and one contradiction, then or
later, is enough to ask one by one. It saves the requests for growers that it shows as connected. All others
are asked about singly before anything is sent: a page is too old by then.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bulk_onboard.listing import CONNECTED, UNCONNECTED, Listing, Page, texts
from bulk_onboard.model import Absent, Exists, Row, Verdict
from bulk_onboard.policy.credentials import decide
from bulk_onboard.policy.progress import Action, Finish, Step, first
from bulk_onboard.policy.retry import Moment, Next, Policy

PAGE = 100
# For fewer rows than one page tells of, the list is not looked at.
FEWEST = 100
# Single requests that compare the list with the truth, in either direction.
SAMPLE = 20
# At most so many pages per row are read: it is not known beforehand how many growers they show as connected.
PAGES_PER_ROW = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """How long the list is. ``users`` None: the first page did not tell. ``page``: users on a full page."""

    users: int | None
    page: int

    @property
    def pages(self) -> int:
        """How many there are, if it is known."""
        return math.ceil((self.users or 0) / self.page)


def sized(start: Page, asked: int = PAGE) -> Size:
    """The size by the first page, of which so many users were asked for. Leaf may show fewer at a time."""
    shown, total = len(start.users), start.total
    if not shown:
        return Size(0, asked)
    if total is None or total < shown:
        return Size(None, shown)
    return Size(total, shown if shown < min(asked, total) else asked)


def most_pages(rows: int) -> int:
    """As many pages as may be read for so many rows: a small part of what they may save."""
    return int(rows * PAGES_PER_ROW) - 2 * SAMPLE


def pays(rows: int, size: Size) -> bool:
    """Whether pages are worth it. No more requests are saved than there are users."""
    return size.pages <= most_pages(min(rows, size.users or 0))


@dataclass(frozen=True, slots=True)
class End:
    """Where a list ends whose length nobody tells: a page that has users, and one after it that has none."""

    full: int = 0
    empty: int | None = None

    def probe(self, most: int) -> int | None:
        """The page to look at next; None when the end is found, or is beyond so many pages."""
        if self.empty is None:
            return None if self.full >= most else min(max(1, 2 * self.full), most)
        return None if self.empty - self.full <= 1 else (self.full + self.empty) // 2

    def seen(self, page: int, *, empty: bool) -> End:
        """After a look at that page."""
        return End(self.full, page) if empty else End(max(self.full, page), self.empty)


def chosen(rows: int, size: Size) -> str:
    """Why pages, for people."""
    return (
        f"Leaf lists {size.users:,} users: reading {size.pages:,} pages first. Of {rows:,} growers, only"
        " those that the pages do not show as connected are asked about one at a time"
    )


def not_chosen(rows: int, size: Size | None) -> str:
    """Why not, for people. ``size`` None: there are more pages than rows."""
    if size is None:
        return f"Leaf is asked about {rows:,} growers one at a time: its list of users is longer"
    listed = f"{size.users:,} users" if size.users else "no users"
    return f"Leaf lists {listed}: asking about {rows:,} growers one at a time takes fewer requests"


@dataclass(frozen=True, slots=True)
class Spot:
    """A user to be asked for singly: does Leaf hold credentials of the provider, as it lists?"""

    provider: str
    leaf_user_id: str
    connected: bool

    def agrees(self, verdict: Verdict) -> bool | None:
        """What the answer says of the list; None: nothing."""
        match verdict:
            case Exists():
                return self.connected
            case Absent(bare, usual) if usual or not bare:
                return not self.connected
            case _:
                return None


def spots(listing: Listing, wanted: Mapping[str, np.ndarray], seed: int) -> list[Spot]:
    """The sample: growers of the file (UUIDs by provider) as far as there are any, in both directions."""
    draw, found = random.Random(seed), []
    for provider, ids in wanted.items():
        states = listing.states(provider, ids)
        connected, not_connected = ids[states == CONNECTED], ids[states == UNCONNECTED]
        if not len(connected):
            connected = listing.of_state(provider, CONNECTED)
        for among, is_connected in ((connected, True), (not_connected, False)):
            picked = draw.sample(range(len(among)), min(SAMPLE, len(among)))
            found += [Spot(provider, each, is_connected) for each in texts(among[picked])]
    return found


def begin(row: Row, hint: Exists | Absent | None, policy: Policy) -> Step:
    """Where a row starts, given what the list shows of it.

    The hint stands for the answer to the first question, as far as that ends the row. Everything else has to
    be asked, and so has a row with a POST that may have been stored.
    """
    start = first(policy, row.open_intent, row.stored_as)
    if hint is None or row.open_intent is not None or start.action is not Action.ASK:
        return Next(start)
    step = decide(start, hint, policy, Moment(0.0, 0.0))
    if isinstance(step, Finish):
        return replace(step, message=step.message or "as Leaf's list of users shows")
    return Next(start)
