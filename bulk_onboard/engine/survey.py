"""Before anything is sent: read the whole file, check it, and compare it with the ledger, chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.ascending import ascending, both, without
from bulk_onboard.compare import Compared, Keys, NewTokens, compare, rows_with_tokens_of_others
from bulk_onboard.engine.ahead import ahead
from bulk_onboard.engine.row_choice import attempted_before
from bulk_onboard.engine.scan import Checked, Scan
from bulk_onboard.entry import Entry
from bulk_onboard.errors import Interrupted
from bulk_onboard.facts import Observer, Reading
from bulk_onboard.growers import Growers, nobody
from bulk_onboard.model import NOT_AS_ASKED, Health, IfExists, Intent, Recorded, Row, Status
from bulk_onboard.policy.stop_rules import EarlierAttempt
from bulk_onboard.stamp import from_text
from bulk_onboard.validation.columns import PROVIDER

# A warning about rows.
OF_OTHER_GROWER = "token-of-other-grower"
_NAMES = ("row", "leafUserId", "fingerprint")
_NOT_CONNECTED = frozenset({Status.REJECTED.value, Status.FAILED.value, Status.NOT_ATTEMPTED.value})


class KnownEntry(Protocol):
    """An intent that may be open."""

    @property
    def status(self) -> str | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def intended_at(self) -> str: ...
    @property
    def deleting(self) -> str: ...
    @property
    def deleting_created(self) -> str: ...
    @property
    def app(self) -> int: ...


class Memory(Protocol):
    """The ledger, as far as a survey needs it."""

    def growers(self, scope: int, among: Sequence[str] | None = None) -> Growers: ...
    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> Mapping[str, KnownEntry]: ...
    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> Mapping[str, tuple[Recorded, str, int]]: ...
    def add_block(self, run_no: int, seq: int, first_row: int, last_row: int, data: bytes) -> None: ...
    def replace_block(self, run_no: int, first_row: int, data: bytes) -> None: ...
    def blocks(self, run_no: int) -> Iterator[tuple[int, int, bytes]]: ...
    def entries(self, run_no: int, first_row: int, last_row: int) -> list[Entry]: ...
    def write(self, run_no: int, scope: int, intents: Iterable[Entry], outcomes: Iterable[Entry]) -> None: ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What the file holds.

    ``wanted`` are the numbers of the rows to do, ascending; ``environments``: valid rows by the environment
    of their provider, where it has several. ``stored``: of rows to do, the credentials in which their very
    secrets were stored before. ``unnamed``: of the rows to do, those whose grower has no id yet,
    ascending; ``to_create``: how many Leaf users a dry run found that a run would create.
    ``connected``: rows that a plan says are connected, to be checked. ``unwell``: how many of the rows done
    before were not healthy when they were last looked at. ``left_out``: how many rows
    to do are beyond the limit of the run. ``earlier``: what an earlier run did
    with rows of the same content. ``tokens_of_others``: rows with a token that an earlier run onboarded for
    another grower.
    """

    rows: int
    wanted: np.ndarray
    intents: Mapping[int, Intent]
    statuses: Mapping[Status, int]
    warnings: Mapping[str, int]
    environments: Mapping[str, int] = field(default_factory=dict)
    unnamed: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    stored: Mapping[int, Recorded] = field(default_factory=dict)
    to_create: int = 0
    connected: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    unwell: int = 0
    left_out: int = 0
    earlier: Mapping[int, EarlierAttempt] = field(default_factory=dict)
    tokens_of_others: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def left_without(self) -> np.ndarray:
        """Of the rows wanted, those whose grower an earlier run left without credentials, or may have."""
        rows = [number for number, intent in self.intents.items() if intent.deleting]
        return both(self.wanted, ascending(rows))

    @property
    def invalid(self) -> int:
        """How many rows cannot be sent."""
        return self.statuses.get(Status.INVALID, 0)


@dataclass(slots=True)
class Sums:
    """What the first reading found, before rows are held against each other. Mutable, and soon gone."""

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    intents: dict[int, Intent] = field(default_factory=dict)
    to_do: list[np.ndarray] = field(default_factory=list)
    stored: dict[int, Recorded] = field(default_factory=dict)
    unwell: int = 0
    earlier: dict[int, EarlierAttempt] = field(default_factory=dict)
    new_tokens: dict[str, list[NewTokens]] = field(default_factory=dict)
    tokens_of_others: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


def survey(
    scan: Scan,
    memory: Memory,
    run_no: int,
    scope: int,
    *,
    if_exists: IfExists,
    observer: Observer,
    stopped: Callable[[], bool],
    scopes: Mapping[str, int] | None = None,
) -> Survey:
    """Read everything once. Raises InputError if the file cannot be used, Interrupted if ``stopped``.

    ``scope`` is the run's; ``scopes``: of the providers of a file of several, by name.
    """
    sums = read_through(
        scan, memory, run_no, scope, if_exists=if_exists, observer=observer, stopped=stopped, scopes=scopes
    )
    findings = scan.findings()
    sums.warnings.update(scan.file_warnings()["code"])
    memory.write(run_no, scope, [], entries_of(findings))
    found = replace(_summed_up(sums, findings), environments=dict(scan.environments))
    return replace(found, unnamed=both(found.wanted, scan.unnamed))


def read_through(
    scan: Scan,
    memory: Memory,
    run_no: int,
    scope: int,
    *,
    if_exists: IfExists,
    observer: Observer,
    stopped: Callable[[], bool],
    scopes: Mapping[str, int] | None = None,
    first_seq: int = 0,
    part: bool = False,
) -> Sums:
    """The first reading: all of it but what only the whole file shows. ``first_seq``: of the first block.

    ``part``: of a large input only; then the ledger is not asked about growers who are not in it.
    """
    scopes = scopes or {}
    places = scopes or {"": scope}
    sums, everybody = Sums(), {} if part else {name: memory.growers(each) for name, each in places.items()}
    # Most of both halves is done by numpy and Arrow, which let go of Python's lock.
    for seq, checked in enumerate(ahead(scan.chunks()), first_seq):
        growers = everybody or _growers_of(checked, memory, places)
        table, open_lines, new_tokens = _compared(checked, scan.apps(checked), growers, if_exists)
        memory.add_block(
            run_no, seq, int(table["row"].iloc[0]), int(table["row"].iloc[-1]), manifest.pack(table)
        )
        _add(sums, table)
        for name, tokens in new_tokens.items() if any(map(len, everybody.values())) else ():
            sums.new_tokens.setdefault(name, []).append(tokens)
        for each, lines in by_scope(table.iloc[open_lines], scope, scopes):
            sums.intents.update(open_intents(memory, each, lines))
        if if_exists is IfExists.REPLACE:
            for each, lines in by_scope(table[table["status"] == ""], scope, scopes):
                sums.stored.update(stored_before(memory, each, lines))
        for each, lines in by_scope(table[table["status"] == ""], scope, scopes):
            sums.earlier.update(attempted_before(memory, each, lines))
        sums.warnings.update(checked.warnings.drop_duplicates(["row", "code"])["code"])
        observer(Reading(sums.rows))
        if stopped():
            raise Interrupted("interrupted while the file was being read; nothing was sent")
        del checked, growers, table  # not to be held with the next two
    if everybody and not scan.allows_shared_tokens:
        sums.tokens_of_others = _tokens_of_others(sums.new_tokens, everybody)
        sums.warnings[OF_OTHER_GROWER] = len(sums.tokens_of_others)
    return sums


def _tokens_of_others(new: Mapping[str, Sequence[NewTokens]], known: Mapping[str, Growers]) -> np.ndarray:
    """Return the rows whose token an earlier run onboarded for another grower of the provider, ascending."""
    found = [
        rows_with_tokens_of_others(tokens, known[name or next(iter(known))])
        for name, tokens in new.items()
        if not name or name in known
    ]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)


def rows_to_do(scan: Scan, found: Survey, wanted: np.ndarray) -> Iterator[Row]:
    """The rows with their secrets, read again from the file. Raises InputError if it has changed."""
    for row in scan.rows(wanted):
        intent, stored = found.intents.get(row.number), found.stored.get(row.number)
        if intent and intent.app not in {0, row.app}:  # what it may have stored is of another application
            intent = replace(intent, same=False)
        yield replace(row, open_intent=intent, stored_as=stored) if intent or stored else row


def _add(sums: Sums, table: pd.DataFrame) -> None:
    sums.rows += len(table)
    statuses = {str(status): int(n) for status, n in table["status"].value_counts().items()}
    sums.statuses.update(statuses)
    # Only of rows that were done before the health is known already.
    sums.unwell += statuses.get(Status.EXISTING, 0) - int(
        ((table["health"] == Health.HEALTHY.value) | table["code"].isin(NOT_AS_ASKED)).sum()
    )
    sums.to_do.append(table.loc[(table["status"] == "").to_numpy(bool), "row"].to_numpy(np.int64))


def _growers_of(checked: Checked, memory: Memory, places: Mapping[str, int]) -> Mapping[str, Growers]:
    """What the ledger knows of the growers of a chunk, by provider."""
    valid = (checked.frame["code"] == "").to_numpy(bool)
    among = checked.frame.loc[valid, "leafUserId"].tolist()
    return {name: memory.growers(scope, among) for name, scope in places.items()}


def _compared(
    checked: Checked, apps: np.ndarray, growers: Mapping[str, Growers], if_exists: IfExists
) -> Compared:
    if "" in growers:  # a run of one provider
        return compare(checked.frame, Keys(checked.ids, checked.prints, apps), growers[""], if_exists)
    tables, all_lines, open_lines, new_tokens = [], [], [], {}
    for name, lines, own in checked.by_provider():
        keys = Keys(own.ids, own.prints, apps[lines])
        compared = compare(own.frame, keys, growers.get(name) or nobody(), if_exists)
        tables.append(compared.table.assign(**{PROVIDER: name}))
        all_lines.append(lines)
        open_lines.append(lines[compared.open_lines])
        new_tokens[name] = compared.new_tokens[""]
    order = np.argsort(np.concatenate(all_lines))
    table = pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True)
    return Compared(table, np.sort(np.concatenate(open_lines)), new_tokens)


def by_scope(
    table: pd.DataFrame, scope: int, scopes: Mapping[str, int]
) -> Iterator[tuple[int, pd.DataFrame]]:
    """The lines of each scope; ``scope`` is that of a file whose rows name no provider."""
    if PROVIDER not in table:
        yield scope, table
        return
    for name, lines in table.groupby(PROVIDER, sort=False):
        yield scopes[str(name)], lines


def open_intents(memory: Memory, scope: int, lines: pd.DataFrame) -> Iterator[tuple[int, Intent]]:
    """The open intents of these rows' growers."""
    if not len(lines):
        return
    known = memory.known(scope, lines["leafUserId"].tolist())
    for number, leaf_user_id, fingerprint in zip(*(lines[name] for name in _NAMES), strict=True):
        found = known.get(leaf_user_id)
        if found and (_is_ambiguous(found) or _is_left_without(found)):
            intended = from_text(found.intended_at) if _is_ambiguous(found) else None
            same = found.fingerprint == fingerprint
            yield int(number), Intent(intended, same, found.deleting, found.deleting_created, found.app)


def _is_ambiguous(found: KnownEntry) -> bool:
    """Whether a POST was about to be sent that may have been stored."""
    return found.status in {None, Status.UNRESOLVED.value}


def _is_left_without(found: KnownEntry) -> bool:
    return bool(found.deleting) and found.status in _NOT_CONNECTED


def stored_before(memory: Memory, scope: int, lines: pd.DataFrame) -> Iterator[tuple[int, Recorded]]:
    """Yield of these rows the credentials stored last, if of their secrets or of another application."""
    known = memory.stored(scope, lines["leafUserId"].tolist()) if len(lines) else {}
    for number, leaf_user_id, own, app in zip(*(lines[name] for name in (*_NAMES, "app")), strict=True):
        if leaf_user_id in known:
            recorded, fingerprint, stored_app = known[leaf_user_id]
            other_app = stored_app not in {0, int(app)}
            if other_app or fingerprint == own:
                yield int(number), recorded._replace(other_app=other_app)


def entries_of(findings: pd.DataFrame) -> Iterator[Entry]:
    """What the ledger keeps of rows that repeat or contradict others."""
    columns = (findings[name].tolist() for name in ("row", "status", "code", "message"))
    for row, status, code, message in zip(*columns, strict=True):
        yield Entry(row=row, status=status, code=code, message=message)


def _summed_up(sums: Sums, findings: pd.DataFrame) -> Survey:
    to_do = np.concatenate(sums.to_do) if sums.to_do else np.empty(0, np.int64)
    wanted = without(to_do, findings["row"].to_numpy(np.int64))
    statuses = Counter({Status(name): n for name, n in sums.statuses.items() if name})
    statuses.update(Status(name) for name in findings["status"])
    if found_done := sums.rows - len(wanted) - sum(statuses.values()):
        # A finding about a row that the ledger knew as done: it counts as the finding says.
        statuses[Status.EXISTING] += found_done
    return Survey(
        sums.rows,
        wanted,
        sums.intents,
        dict(statuses),
        dict(sums.warnings),
        stored=sums.stored,
        unwell=sums.unwell,
        earlier=sums.earlier,
        tokens_of_others=sums.tokens_of_others,
    )
