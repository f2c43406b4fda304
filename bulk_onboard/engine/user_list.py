"""Leaf's list of users: it is read in pages, and compared with single answers before it is believed."""

from __future__ import annotations

import asyncio
import random
import secrets
import sqlite3
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Answer,
    Credential,
    Exists,
    Payload,
    Refused,
    Row,
    Throttled,
    Verdict,
)
from bulk_onboard.domain.run_events import LookupChosen, Observer, Trouble, UsersRead
from bulk_onboard.domain.users import ListedCredential, Page, Prints
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.ports import Connection, ListedFields, Users
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.policy.retry import Moment
from bulk_onboard.policy.user_list import FEWEST, PAGE, SAMPLE, Spot, choice, pays, sized
from bulk_onboard.threads import in_thread

T = TypeVar("T")
V = TypeVar("V")
# A grower at a provider: the provider's name and the leafUserId.
Grower = tuple[str, str]
# Attempts to get a page or a single answer.
ATTEMPTS = 4
# Pages under way at a time: each may have some megabytes.
AT_ONCE = 16
# If more answers than this share say nothing, the sample has shown nothing.
UNDECIDED = 0.25
# Pages.
REPORTED_EVERY = 10


class UserList:
    """The users that the pages showed, about 100 bytes each, without secrets."""

    def __init__(self, fields: ListedFields) -> None:
        self._formats = {name: struct.Struct(f"<{len(names)}Q") for name, names in fields.items()}
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "CREATE TABLE users (id BLOB PRIMARY KEY) WITHOUT ROWID;"
            "CREATE TABLE credentials (provider TEXT, user BLOB, id TEXT, status TEXT, prints BLOB,"
            " PRIMARY KEY (provider, user)) WITHOUT ROWID;"
        )

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM users").fetchone()[0])

    def add(self, page: Page) -> None:
        """Add a page, in any order."""
        ids = [UUID(user.leaf_user_id).bytes for user in page.users]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO users VALUES (?)", ((user_id,) for user_id in ids))
        self._db.executemany(
            "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?)",
            (
                (provider, user_id, shown.id, shown.status, self._packed(provider, shown.prints))
                for user_id, user in zip(ids, page.users, strict=True)
                for provider, shown in user.shown.items()
            ),
        )
        self._db.execute("COMMIT")

    def _packed(self, provider: str, prints: tuple[int, ...]) -> bytes:
        return self._formats[provider].pack(*prints) if prints else b""

    def lists(self, leaf_user_id: str) -> bool:
        """Return whether the list has this user."""
        query = "SELECT 1 FROM users WHERE id = ?"
        return self._db.execute(query, (UUID(leaf_user_id).bytes,)).fetchone() is not None

    def credential(self, provider: str, leaf_user_id: str) -> ListedCredential | None:
        """Return the credentials that are shown for a user; None for none."""
        query = "SELECT id, status, prints FROM credentials WHERE provider = ? AND user = ?"
        row = self._db.execute(query, (provider, UUID(leaf_user_id).bytes)).fetchone()
        if row is None:
            return None
        prints = self._formats[provider].unpack(row[2]) if row[2] else ()
        return ListedCredential(row[0], row[1], prints)

    def is_connected(self, provider: str, leaf_user_id: str) -> bool | None:
        """Return whether a user has credentials; None if it is not listed or they cannot be read."""
        shown = self.credential(provider, leaf_user_id)
        if shown is None:
            return False if self.lists(leaf_user_id) else None
        return True if shown.id else None

    def sample(self, growers: Iterable[Grower], seed: int) -> list[Spot]:
        """Return a sample of these growers: if possible, some with and some without credentials.

        If no grower has credentials by the list, other users show whether the list shows any.
        """
        draw, picked, seen = random.Random(seed), dict[tuple[str, bool], list[Spot]](), dict[object, int]()
        for provider, leaf_user_id in growers:
            picked.setdefault((provider, True), [])
            if (connected := self.is_connected(provider, leaf_user_id)) is None:
                continue
            # Reservoir sampling: each grower of a kind is equally likely to be picked.
            kind = (provider, connected)
            spots, seen[kind] = picked.setdefault(kind, []), seen.get(kind, 0) + 1
            if len(spots) < SAMPLE:
                spots.append(Spot(provider, leaf_user_id, connected))
            elif (place := draw.randrange(seen[kind])) < SAMPLE:
                spots[place] = Spot(provider, leaf_user_id, connected)
        for (provider, connected), spots in picked.items():
            if connected and not spots:
                spots.extend(self._connected_users(provider))
        return [spot for spots in picked.values() for spot in spots]

    def _connected_users(self, provider: str) -> Iterator[Spot]:
        query = "SELECT user FROM credentials WHERE provider = ? AND id != '' ORDER BY random() LIMIT ?"
        for (user,) in self._db.execute(query, (provider, SAMPLE)):
            yield Spot(provider, str(UUID(bytes=user)), connected=True)


class ListedUsers:
    """Knows what the list shows of each row, until something contradicts it.

    ``denied``: rows of growers that are listed as connected, but are not.
    """

    def __init__(self, users: UserList, prints: Prints, fields: ListedFields, observer: Observer) -> None:
        self.users = users
        self._prints, self._fields, self._observer = prints, fields, observer
        self.contradicted = False
        self.denied: list[int] = []

    def hint(self, provider: str, leaf_user_id: str, ours: Payload) -> Exists | Absent | None:
        """Return the probable answer of a GET; None if Leaf has to be asked."""
        if self.contradicted:
            return None
        shown = self.users.credential(provider, leaf_user_id)
        if shown is None:
            return Absent() if self.users.lists(leaf_user_id) else None
        fields = self._fields[provider]
        if not shown.id or self._prints.is_other_app(shown.prints, fields, ours):
            return None
        echo = self._prints.echo(shown.prints, fields, ours)
        return Exists(Credential(shown.id, shown.status, None, echo))

    def lists(self, leaf_user_id: str) -> bool:
        """Return whether the grower is a user, by the list."""
        return not self.contradicted and self.users.lists(leaf_user_id)

    def hint_of(self, row: Row) -> Exists | Absent | None:
        """Return the probable answer of a GET for a row; None if Leaf has to be asked."""
        return self.hint(row.provider, row.leaf_user_id, row.payload)

    def deny(self, row: int, leaf_user_id: str) -> None:
        """Note that the list is wrong about a row: its grower is not connected and has to be onboarded."""
        self.denied.append(row)
        self.contradict(f"{leaf_user_id} has no credentials, and is listed with some")

    def contradict(self, why: str) -> None:
        """Stop giving hints."""
        if not self.contradicted:
            self.contradicted = True
            self._observer(Trouble(f"Leaf's list of users is wrong ({why}): asking one by one from now on"))


class ListReader:
    """Reads the list, where that takes fewer requests than asking about each grower."""

    def __init__(self, context: RowContext, leaf: Connection, users: Users, seed: int) -> None:
        self._context, self._leaf, self._users, self._seed = context, leaf, users, seed
        self._prints = Prints(secrets.token_bytes(16))
        self._list = UserList(users.listed_fields)
        self._users_read = self._pages_read = 0
        self._broken = False

    async def read(self, count: int, growers: Callable[[], Iterable[Grower]]) -> ListedUsers | None:
        """Return the list, if reading it pays for ``count`` growers and it agrees with single answers.

        None: the growers have to be asked about one by one; unless they are few, a fact says why.
        """
        if count < FEWEST or self._context.stop.draining:
            return None
        start = await self._page(0, PAGE)
        size = sized(start) if start else None
        if start is None:
            self._report_single("Leaf shows no list of its users: asking one by one")
            return None
        if size is None or not pays(count, size):
            self._report_single(choice(count, size))
            return None
        self._context.observer(LookupChosen("pages", choice(count, size)))
        await self._each(range(1, size.pages), partial(self._page, size=size.page))
        if self._broken:
            self._report_single("Leaf's list of users cannot be read to its end: asking one by one")
            return None
        return await self._compared(await in_thread(lambda: self._list.sample(growers(), self._seed)))

    def _report_single(self, why: str) -> None:
        if not self._context.stop.draining:
            self._context.observer(LookupChosen("single", why))

    async def _page(self, number: int, size: int) -> Page | None:
        """Read a page and add it. Return None if Leaf does not give it."""
        ask = partial(self._users.users, number, size, self._prints)
        verdict = await self._decided(ask, lambda verdict: isinstance(verdict, Page | Refused))
        if not isinstance(verdict, Page):
            self._broken = True
            return None
        self._list.add(verdict)
        self._users_read, self._pages_read = self._users_read + len(verdict.users), self._pages_read + 1
        if not self._pages_read % REPORTED_EVERY:
            self._context.observer(UsersRead(self._users_read))
        return verdict

    async def _compared(self, sample: list[Spot]) -> ListedUsers | None:
        """Return the list, if single answers for a sample do not contradict it."""
        fields, observer = self._users.listed_fields, self._context.observer
        listed, results = ListedUsers(self._list, self._prints, fields, observer), list[bool | None]()

        async def look(spot: Spot) -> None:
            results.append(agrees := await self._agrees(spot))
            if agrees is False:
                self._broken = True
                have = "none" if spot.connected else "credentials"
                listed.contradict(f"{spot.leaf_user_id} has {have}, which is not what it shows")

        await self._each(sample, look)
        if listed.contradicted or self._context.stop.draining:
            return None
        if results.count(None) > UNDECIDED * len(results):
            why = "Leaf's list of users cannot be compared with its answers: asking one by one"
            self._report_single(why)
            return None
        return listed

    async def _agrees(self, spot: Spot) -> bool | None:
        ask = partial(self._leaf.of(spot.provider).ask, spot.leaf_user_id, Payload({}))

        def says(verdict: Verdict) -> bool:
            return spot.agrees(verdict) is not None or isinstance(verdict, Refused)

        verdict = await self._decided(ask, says)
        return None if verdict is None else spot.agrees(verdict)

    async def _decided(self, ask: Callable[[], Awaitable[Answer[V]]], says: Callable[[V], bool]) -> V | None:
        """Return the first verdict that ``says`` something; None if there is none in `ATTEMPTS`."""
        budget, clock = replace(self._context.policy, attempts=ATTEMPTS), asyncio.get_running_loop().time
        began, failures = clock(), 0
        pause: float | None = 0.0
        while pause is not None and (not pause or await self._context.stop.pause(pause)):
            verdict = (await ask()).verdict
            if says(verdict):
                return verdict
            failures += 1
            after = verdict.after if isinstance(verdict, Throttled | Ambiguous) else None
            pause = budget.after_failure(failures, after, Moment(clock() - began, self._context.draw()))
        return None

    async def _each(self, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
        """Work on several items at a time, until the list turns out to be useless or the run stops."""
        shared = iter(items)

        async def go_on(_worker: int, under_way: Callable[[], None]) -> None:
            under_way()
            for item in shared:
                if self._broken or self._context.stop.draining:
                    return
                await work(item)

        await work_through(iter(range(AT_ONCE)), go_on, self._context.stop, starts=AT_ONCE, in_hand=AT_ONCE)
