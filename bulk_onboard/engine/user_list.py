"""Asking in pages: the list of users is read and compared with single answers before it is believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bulk_onboard import manifest
from bulk_onboard.ascending import lines_of
from bulk_onboard.engine.ports import Connection, ListedFields, Users
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.facts import Asking, Listed, Observer, Trouble
from bulk_onboard.listing import UNCONNECTED, UNLISTED, Collecting, Listing, Page, Prints, held, words
from bulk_onboard.model import Absent, Ambiguous, Exists, Log, Payload, Refused, Row, Throttled, Verdict
from bulk_onboard.policy.progress import Progress, Step
from bulk_onboard.policy.retry import Policy
from bulk_onboard.policy.user_list import (
    FEWEST,
    PAGE,
    End,
    Size,
    Spot,
    begin,
    chosen,
    most_pages,
    not_chosen,
    pays,
    sized,
    spots,
)
from bulk_onboard.validation.columns import PROVIDER

if TYPE_CHECKING:
    from bulk_onboard.engine.survey import Memory
    from bulk_onboard.policy.checks import Check

T = TypeVar("T")
# A page that cannot be had in so many attempts is given up, and the list with it.
ATTEMPTS = 4
# Pages under way at one time: each may be some megabytes large.
AT_ONCE = 16
# More answers than this share that say nothing, and the sample has shown nothing.
UNDECIDED = 0.25
# Pages.
TOLD_EVERY = 10
# Checks that are looked at together; each is an object of its own, so not all at once.
BATCH = 10_000


class Census:
    """What the list showed, as a hint for each row, until something contradicts it."""

    def __init__(self, listing: Listing, prints: Prints, fields: ListedFields, observer: Observer) -> None:
        self.listing = listing
        self._prints, self._fields = prints, fields
        self._observer = observer
        self.contradicted = False
        # Rows that were said to be connected, and are not.
        self.denied: list[int] = []

    def hint(self, provider: str, leaf_user_id: str, ours: Payload) -> Exists | Absent | None:
        """What a GET would probably answer. None: that has to be asked."""
        if self.contradicted:
            return None
        credential = self.listing.credential(provider, leaf_user_id)
        if credential is not None:
            fields = self._fields[provider]
            if self._prints.is_other_app(credential.prints, fields, ours):
                return None
            echo = self._prints.echo(credential.prints, fields, ours)
            return Exists(held(credential, echo))
        is_unconnected = self.listing.state(provider, leaf_user_id) == UNCONNECTED
        return Absent() if is_unconnected else None

    def lists(self, provider: str, leaf_user_id: str) -> bool:
        """Whether the grower is a user at all, by the list."""
        return not self.contradicted and self.listing.state(provider, leaf_user_id) != UNLISTED

    def begin(self, row: Row, policy: Policy) -> Step:
        """Where the row starts."""
        return begin(row, self.hint(row.provider, row.leaf_user_id, row.payload), policy)

    def review(self, _row: Row, _progress: Progress, _verdict: Verdict | Log, step: Step) -> Step:
        """As decided: whatever changes something was asked about."""
        return step

    def deny(self, row: int, leaf_user_id: str) -> None:
        """The row's grower is listed as connected, and is not: it has to be onboarded after all."""
        self.denied.append(row)
        self.contradict(f"{leaf_user_id} has no credentials, and is listed with some")

    def contradict(self, why: str) -> None:
        """From now on every row is asked for."""
        if not self.contradicted:
            self.contradicted = True
            self._observer(Trouble(f"Leaf's list of users is wrong ({why}): asking one by one from now on"))


@dataclass
class Taking:
    """The way to a census. ``seed`` makes the sample; ``in_flight`` bounds the requests under way."""

    leaf: Connection
    users: Users
    policy: Policy
    stop: StopSignal
    observer: Observer
    draw: Callable[[], float]
    in_flight: int
    key: bytes
    seed: int

    def __post_init__(self) -> None:
        self._prints = Prints(self.key)
        self._pages = Collecting(
            {provider: len(names) for provider, names in self.users.listed_fields.items()}
        )
        self._read: set[int] = set()
        self._broken = False

    async def take(self, wanted: Mapping[str, np.ndarray]) -> Census | None:
        """A census of these growers (UUIDs by provider), if it is the cheaper way and agrees with the truth.

        None: they have to be asked for one by one. Says which, and why, unless they are few.
        """
        rows = sum(map(len, wanted.values()))
        if rows < FEWEST or self.stop.draining:
            return None
        size = await self._measured(rows)
        if size is None:
            return None
        self.observer(Asking("pages", chosen(rows, size)))
        left = [number for number in range(size.pages) if number not in self._read]
        await self._each(left, lambda number: self._collect(number, size.page))
        if self._broken:
            self._singly("Leaf's list of users cannot be read to its end: asking one by one")
            return None
        census = Census(self._pages.listing(), self._prints, self.users.listed_fields, self.observer)
        return None if self.stop.draining else await self._compared(census, wanted)

    def _singly(self, why: str) -> None:
        if not self.stop.draining:
            self.observer(Asking("single", why))

    # --- how long it is -----------------------------------------------------------------------------

    async def _measured(self, rows: int) -> Size | None:
        """The size of a list that is worth reading; else None."""
        start = await self._collect(0, PAGE)
        if start is None:
            self._singly("Leaf shows no list of its users: asking one by one")
            return None
        size: Size | None = sized(start)
        if size and size.users is None:
            size = await self._to_the_end(rows, size.page)
        if size is None or not pays(rows, size):
            self._singly(not_chosen(rows, size))
            return None
        return size

    async def _to_the_end(self, rows: int, size: int) -> Size | None:
        """The size of a list that does not tell it. None: it is longer than it is worth."""
        end, most, on_the_last = End(), most_pages(rows), size
        while (number := end.probe(most)) is not None:
            page = await self._collect(number, size)
            if page is None:
                return None
            end = end.seen(number, empty=not page.users)
            on_the_last = len(page.users) if page.users else on_the_last
        return None if end.empty is None else Size(end.full * size + on_the_last, size)

    # --- reading ------------------------------------------------------------------------------------

    async def _collect(self, number: int, size: int) -> Page | None:
        """Read one page, and keep it. None: it cannot be had."""
        page = await self._page(number, size)
        if page is None:
            self._broken = True
            return None
        self._read.add(number)
        self._pages.add(page)
        if not len(self._read) % TOLD_EVERY:
            self.observer(Listed(self._pages.users))
        return page

    async def _page(self, number: int, size: int) -> Page | None:
        for attempt in range(1, ATTEMPTS + 1):
            verdict = (await self.users.users(number, size, self._prints)).verdict
            match verdict:
                case Page() as page:
                    return page
                case Refused():
                    return None
                case _:
                    after = verdict.after if isinstance(verdict, Throttled | Ambiguous) else None
            if not await self.stop.pause(after or self.policy.wait(attempt, self.draw())):
                return None
        return None

    async def _each(self, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
        """Several at a time, until the list turns out to be useless or the run stops."""
        shared, many = iter(items), min(self.in_flight, AT_ONCE)

        async def go_on(_worker: int, under_way: Callable[[], None]) -> None:
            under_way()
            for item in shared:
                if self._broken or self.stop.draining:
                    return
                await work(item)

        await work_through(iter(range(many)), go_on, self.stop, starts=many, in_hand=many)

    # --- is it true? --------------------------------------------------------------------------------

    async def _compared(self, census: Census, wanted: Mapping[str, np.ndarray]) -> Census | None:
        """The census, if a sample of single requests does not contradict it."""
        sample = spots(census.listing, wanted, self.seed)
        said: list[bool | None] = []

        async def look(spot: Spot) -> None:
            said.append(agrees := await self._agrees(spot))
            if agrees is False:
                have = "none" if spot.connected else "credentials"
                self._broken = True
                census.contradict(f"{spot.leaf_user_id} has {have}, which is not what it shows")

        await self._each(sample, look)
        if census.contradicted or self.stop.draining:
            return None
        if said.count(None) > UNDECIDED * len(said):
            self._singly("Leaf's list of users cannot be compared with its answers: asking one by one")
            return None
        return census

    async def _agrees(self, spot: Spot) -> bool | None:
        for attempt in range(1, ATTEMPTS + 1):
            verdict = (await self.leaf.of(spot.provider).ask(spot.leaf_user_id, Payload({}))).verdict
            if (agrees := spot.agrees(verdict)) is not None or isinstance(verdict, Refused):
                return agrees
            after = verdict.after if isinstance(verdict, Throttled | Ambiguous) else None
            if not await self.stop.pause(after or self.policy.wait(attempt, self.draw())):
                return None
        return None


def growers_of(memory: Memory, run_no: int, provider: str, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """The UUIDs (rows x 2) of these rows' growers by provider; ``provider``: of a file that tells none."""
    parts: dict[str, list[np.ndarray]] = {}
    for _, _, data in memory.blocks(run_no):
        table = manifest.unpack(data)
        table = table.iloc[lines_of(table["row"].to_numpy(np.int64), wanted)]
        for name, lines in table.groupby(PROVIDER) if PROVIDER in table else [(provider, table)]:
            parts.setdefault(str(name), []).append(words(lines["leafUserId"].tolist()))
    return {name: np.concatenate(each) for name, each in parts.items()}


def growers_checked(checks: Iterator[Check]) -> dict[str, np.ndarray]:
    """The UUIDs (rows x 2) of the growers that are to be checked, by provider name."""
    parts: dict[str, list[np.ndarray]] = {}
    while many := list(islice(checks, BATCH)):
        ids: dict[str, list[str]] = {}
        for check in many:
            ids.setdefault(check.entry.provider, []).append(check.entry.leaf_user_id)
        for provider, each in ids.items():
            parts.setdefault(provider, []).append(words(each))
    return {provider: np.concatenate(each) for provider, each in parts.items()}
