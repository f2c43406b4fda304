"""Before anything is sent: the whole file is read, checked, and compared with itself and the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.entry import Entry, GrowerState
from bulk_onboard.domain.model import IfExists, Intent, Recorded, Row, Status
from bulk_onboard.domain.run_events import Observer, RowsRead
from bulk_onboard.domain.timestamps import from_text
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.row_choice import attempted_before, both
from bulk_onboard.errors import Interrupted
from bulk_onboard.policy.stop_rules import EarlierAttempt
from bulk_onboard.threads import ahead
from bulk_onboard.validation.cells import uuid_words
from bulk_onboard.workspace import Workspace

# A warning about rows.
OF_OTHER_GROWER = "token-of-other-grower"
_NAMES = ("row", "leafUserId", "fingerprint")
_NOT_CONNECTED = frozenset({Status.REJECTED.value, Status.FAILED.value, Status.NOT_ATTEMPTED.value})


class Memory(Protocol):
    """The part of the ledger that the phases of a run need."""

    def current(self, scope: int) -> AbstractContextManager[pa.RecordBatchReader]:
        """Open the current state of all growers of a scope."""
        ...

    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> Mapping[str, GrowerState]:
        """Return the newest entries of these growers."""
        ...

    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> Mapping[str, tuple[Recorded, str, int]]:
        """Return what was stored of these growers: the credentials, their fingerprint and application."""
        ...

    def add_block(self, run_no: int, seq: int, first_row: int, last_row: int, data: bytes) -> None:
        """Store some rows of a run's input."""

    def entries(self, run_no: int, first_row: int, last_row: int) -> list[Entry]:
        """Return the entries of these rows of a run."""
        ...


@dataclass(frozen=True, slots=True)
class KnownRows:
    """What the ledger knows of rows to do, by row number.

    ``intents``: what an earlier run left without an outcome. ``stored``: the credentials in which their very
    secrets were stored before. ``user_ids``: the leafUserIds of rows that name their grower by something
    else. ``earlier``: what an earlier run did with rows of the same content.
    """

    intents: Mapping[int, Intent] = field(default_factory=dict)
    stored: Mapping[int, Recorded] = field(default_factory=dict)
    user_ids: Mapping[int, str] = field(default_factory=dict)
    earlier: Mapping[int, EarlierAttempt] = field(default_factory=dict)

    def among(self, rows: Collection[int]) -> KnownRows:
        """What is known of these rows only."""
        return KnownRows(*({row: values[row] for row in rows if row in values} for values in self._all()))

    def _all(self) -> tuple[Mapping[int, Any], ...]:
        return self.intents, self.stored, self.user_ids, self.earlier


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What the file holds, row by row in the tables of ``workspace``.

    ``wanted`` are the numbers of the rows to do, ascending; ``environments``: valid rows by the environment
    of their provider, where it has several. ``known``: what the ledger knows of rows to do.
    ``to_create``: how many Leaf users a dry run found that a run would create.
    ``connected``: rows that a plan says are connected, to be checked. ``unhealthy``: how many of the rows
    done before were not healthy when they were last checked. ``left_out``: how many rows
    to do are beyond the limit of the run. ``tokens_of_others``: rows with a token that an earlier run
    onboarded for another grower.
    """

    workspace: Workspace
    rows: int
    wanted: np.ndarray
    statuses: Mapping[Status, int]
    warnings: Mapping[str, int]
    environments: Mapping[str, int] = field(default_factory=dict)
    known: KnownRows = field(default_factory=KnownRows)
    to_create: int = 0
    connected: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    unhealthy: int = 0
    left_out: int = 0
    tokens_of_others: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def left_without(self) -> np.ndarray:
        """Of the rows wanted, those that an earlier run left, or may have left, without credentials."""
        return both(self.wanted, [number for number, intent in self.known.intents.items() if intent.deleting])

    @property
    def unresolved(self) -> np.ndarray:
        """Of the rows wanted, those of a grower without a leafUserId, ascending."""
        return both(self.wanted, self.workspace.numbers("SELECT row FROM input_rows WHERE unresolved"))

    @property
    def invalid(self) -> int:
        """How many rows cannot be sent."""
        return self.statuses.get(Status.INVALID, 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What rows are compared with: the ledger's growers of each provider (``scopes``, by name)."""

    memory: Memory
    scopes: Mapping[str, int]
    if_exists: IfExists
    allow_shared_tokens: bool

    def load_known(self, workspace: Workspace) -> None:
        """Load what the ledger knows of all growers into the workspace's table ``known``."""
        for provider, scope in self.scopes.items():
            with self.memory.current(scope) as growers:
                workspace.load_known(provider, growers)

    def decide(self, workspace: Workspace) -> KnownRows:
        """Give rows that are not to do their statuses; and return what is known of those that are to do."""
        workspace.compare(self.if_exists)
        intents: dict[int, Intent] = {}
        stored: dict[int, Recorded] = {}
        earlier: dict[int, EarlierAttempt] = {}
        for provider, lines in workspace.met_before().groupby("provider"):
            scope = self.scopes[str(provider)]
            intents.update(open_intents(self.memory, scope, lines))
            earlier.update(attempted_before(self.memory, scope, lines))
            if self.if_exists is IfExists.REPLACE:
                stored.update(stored_before(self.memory, scope, lines))
        return KnownRows(intents, stored, workspace.user_ids(), earlier)


def read_and_compare(
    file: CheckedFile,
    workspace: Workspace,
    comparison: Comparison,
    *,
    known_users: Callable[[], pa.Table] | None,
    observer: Observer,
    stopped: Callable[[], bool],
) -> FirstPass:
    """Read everything once. Raises InputError if the file cannot be used, Interrupted if ``stopped``.

    ``known_users``: gives the users that the ledger knows by externalId or email, if rows may go by these.
    """
    users = known_users() if known_users is not None and file.columns.users else None
    with ThreadPoolExecutor(1) as other:
        loading = other.submit(comparison.load_known, workspace)
        rows, warnings = read_rows(file, workspace, observer, stopped, users)
        loading.result()
    warnings.update(file.file_warnings()["code"])
    if users is not None:
        workspace.resolve_users(users)
    del users  # a million of them take 100 MB
    compare_rows(workspace, file, allow_shared_tokens=comparison.allow_shared_tokens)
    known = comparison.decide(workspace)
    others = np.empty(0, np.int64)
    if not comparison.allow_shared_tokens:
        others = workspace.tokens_of_others()
        warnings[OF_OTHER_GROWER] = len(others)
    return FirstPass(
        workspace,
        rows,
        workspace.to_do(),
        statuses_of(workspace),
        dict(warnings),
        dict(file.environments),
        known,
        unhealthy=workspace.unhealthy(),
        tokens_of_others=others,
    )


def read_rows(
    file: CheckedFile,
    workspace: Workspace,
    observer: Observer,
    stopped: Callable[[], bool],
    known_users: pa.Table | None = None,
) -> tuple[int, Counter[str]]:
    """Load the checked rows into the workspace; return how many there are, and warnings by code."""
    rows, warnings = 0, Counter[str]()
    # numpy, Arrow and DuckDB do most of both halves, and release Python's lock meanwhile.
    for checked in ahead(file.chunks(known_users["key"] if known_users else None)):
        workspace.load_rows(file.table(checked))
        if checked.users is not None:
            workspace.load("user_keys", checked.users.table())
        rows += len(checked.frame)
        warnings.update(checked.warnings.drop_duplicates(["row", "code"])["code"])
        observer(RowsRead(rows))
        if stopped():
            raise Interrupted("interrupted while the file was being read; nothing was sent")
        del checked  # not to be held with the next two
    return rows, warnings


def compare_rows(workspace: Workspace, file: CheckedFile, *, allow_shared_tokens: bool) -> None:
    """Give rows that contradict or repeat other rows of the input their statuses."""
    mark_ids_as_tokens(workspace, file.uuid_tokens)
    if file.columns.users:
        workspace.mark_user_conflicts()
    workspace.mark_repeats(allow_shared_tokens=allow_shared_tokens)


def mark_ids_as_tokens(workspace: Workspace, tokens: Mapping[int, bytes]) -> None:
    """Mark rows with the leafUserId of another row as their token. ``tokens``: row -> a UUID that is a token.

    A token is a secret, so it is not loaded into the workspace: the ids are read from there instead.
    """
    if not tokens:
        return
    words = np.frombuffer(b"".join(tokens.values()), np.uint64).reshape(-1, 2)
    ids = uuid_words(workspace.ids())
    same = {pair.tobytes() for pair in ids[np.isin(ids[:, 0], words[:, 0])]} if ids is not None else set()
    workspace.mark(
        [row for row, uuid in tokens.items() if uuid in same],
        (Status.INVALID, "id-as-token", "the token is the leafUserId of another row"),
    )


def statuses_of(workspace: Workspace) -> dict[Status, int]:
    """Return how many rows have which final status; those that are to do have none."""
    counts = workspace.query(
        "SELECT status, count(*) FROM rows WHERE status != '' GROUP BY status ORDER BY status"
    )
    return {Status(status): count for status, count in counts}


def store_input(workspace: Workspace, memory: Memory, run_no: int) -> None:
    """Store the rows in the ledger, so that the report can be written without the input."""
    for number, (first, last, block) in enumerate(workspace.blocks()):
        memory.add_block(run_no, number, first, last, block)


def rows_to_do(file: CheckedFile, known: KnownRows, wanted: np.ndarray) -> Iterator[Row]:
    """The rows with their secrets, read again from the file. Raises InputError if it has changed."""
    for row in file.rows(wanted, known.user_ids):
        intent, stored = known.intents.get(row.number), known.stored.get(row.number)
        if intent and intent.app not in {0, row.app}:  # what it may have stored is of another application
            intent = replace(intent, same=False)
        yield replace(row, open_intent=intent, stored_as=stored) if intent or stored else row


def open_intents(memory: Memory, scope: int, lines: pd.DataFrame) -> Iterator[tuple[int, Intent]]:
    """The open intents of these rows' growers."""
    known = memory.known(scope, lines["leafUserId"].tolist()) if len(lines) else {}
    for number, leaf_user_id, fingerprint in zip(*(lines[name] for name in _NAMES), strict=True):
        entry = known.get(leaf_user_id)
        if entry and (_is_ambiguous(entry) or _is_left_without(entry)):
            intended = from_text(entry.intended_at) if _is_ambiguous(entry) else None
            same = entry.fingerprint == fingerprint
            yield int(number), Intent(intended, same, entry.deleting, entry.deleting_created, entry.app)


def _is_ambiguous(entry: GrowerState) -> bool:
    """Whether a POST was about to be sent that may have been stored."""
    return entry.status in {None, Status.UNRESOLVED.value}


def _is_left_without(entry: GrowerState) -> bool:
    return bool(entry.deleting) and entry.status in _NOT_CONNECTED


def stored_before(memory: Memory, scope: int, lines: pd.DataFrame) -> Iterator[tuple[int, Recorded]]:
    """Yield of these rows the credentials stored last, if of their secrets or of another application."""
    known = memory.stored(scope, lines["leafUserId"].tolist()) if len(lines) else {}
    for number, leaf_user_id, own, app in zip(*(lines[name] for name in (*_NAMES, "app")), strict=True):
        if leaf_user_id in known:
            recorded, fingerprint, stored_app = known[leaf_user_id]
            other_app = stored_app not in {0, int(app)}
            if other_app or fingerprint == own:
                yield int(number), recorded._replace(other_app=other_app)
