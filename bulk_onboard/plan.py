"""A plan: what a dry run said would happen to each row, to be carried out exactly. Pure.

A person may take lines out of it. Rows are told apart by provider and grower, and must have the fingerprint
that they had, so neither order nor numbers of rows matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import Source
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.listing import Ids, indexed, words
from bulk_onboard.model import Credential, IfExists, Recorded, Row, Status
from bulk_onboard.policy.ownership import is_same
from bulk_onboard.policy.progress import Action, Finish, Progress, Step
from bulk_onboard.policy.retry import Next
from bulk_onboard.validation.columns import normal

# The columns of plan.csv, and those that are read again. It tells the Leaf that was asked, and as whom.
COLUMNS = (
    "row",
    "leaf",
    "apiOwner",
    "leafUserId",
    "provider",
    "action",
    "code",
    "message",
    "fingerprint",
    "credentialId",
    "createdTime",
)
READ = ("leaf", "apiOwner", "leafUserId", "provider", "action", "fingerprint", "credentialId", "createdTime")
# The code of a row whose plan is not true any more.
OUTDATED = "plan-outdated"
_UUID = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_PRINT = r"^[0-9a-f]{32}$"


class Planned(IntEnum):
    """What a plan says of a row."""

    NOTHING = 0
    CREATE = 1
    REPLACE = 2
    EXISTING = 3
    CHANGED = 4  # the row had another token when the plan was made
    REJECTED = 5
    NO_SUCH_USER = 6


_KNOWN_ACTIONS = [status.value for status in Status]
# How many rows a message names.
_NAMED = 10
_ACTIONS = {
    Status.WOULD_CREATE.value: Planned.CREATE,
    Status.WOULD_REPLACE.value: Planned.REPLACE,
    Status.EXISTING.value: Planned.EXISTING,
    Status.REJECTED.value: Planned.REJECTED,
    Status.NO_SUCH_USER.value: Planned.NO_SUCH_USER,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """One provider's: ``prints`` lines x 2, ``actions`` a `Planned`, ``held`` id and createdTime."""

    growers: Ids
    prints: np.ndarray
    actions: np.ndarray
    held: np.ndarray


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan by its file's ``name``; ``replaces``: how many growers' credentials it replaces.

    ``places``: the Leaf and the API owner that were asked, one of each unless somebody put plans together.
    """

    name: str
    lines: Mapping[str, _Lines]
    replaces: int
    places: frozenset[tuple[str, str]]

    def require(self, leaf: str, owner: str) -> None:
        """Raises UsageError if the plan is not of this Leaf and API owner."""
        for theirs, whose in sorted(self.places - {(leaf, owner)}):
            asked, says = (theirs or "no Leaf", leaf) if theirs != leaf else (f"{leaf} as {whose}", owner)
            raise UsageError(
                f"{self.name} was made at {asked}, but the settings say {says}: make a new plan"
                " with --dry-run"
            )

    def of(self, provider: str, ids: np.ndarray, prints: np.ndarray) -> np.ndarray:
        """A `Planned` for each row of the provider, by grower and fingerprint (rows x 2 both)."""
        found = np.zeros(len(ids), np.uint8)
        if (lines := self.lines.get(provider)) is None:
            return found
        at = lines.growers.find(ids)
        met = np.flatnonzero(at >= 0)
        at = at[met]
        found[met] = lines.actions[at]
        sends = np.isin(found[met], [Planned.CREATE, Planned.REPLACE])
        found[met[sends & (lines.prints[at] != prints[met]).any(axis=1)]] = Planned.CHANGED
        return found

    def replaced(self, provider: str, ids: np.ndarray) -> list[Recorded]:
        """The credentials that the plan replaces, of each of these growers (rows x 2)."""
        lines = self.lines[provider]
        return [Recorded(*held) for held in lines.held[lines.growers.find(ids)].tolist()]


def plan_of(source: Source) -> Plan:
    """The plan in a file. Raises InputError if it is none."""
    named = {normal(name): position for position, name in enumerate(source.header)}
    missing = [name for name in READ if normal(name) not in named]
    if missing:
        raise InputError(
            f"{source.name} is not a plan: it has no column {', '.join(missing)};"
            " `bulk-onboard run FILE --dry-run` writes one"
        )
    positions = [named[normal(name)] for name in READ]
    parts, unknown = [], list[int]()
    for chunk in source.chunks(positions):
        table = chunk.cells.set_axis(list(READ), axis=1).apply(lambda column: column.str.strip())
        unknown += chunk.numbers[~table["action"].isin(_KNOWN_ACTIONS).to_numpy(bool)].tolist()
        parts.append(table[table["action"].isin(list(_ACTIONS))])
    _require_known(source.name, unknown)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(READ), dtype="str")
    _require_whole(source.name, table)
    lines = {str(name): _lines(part) for name, part in table.groupby("provider")}
    replaces = int((table["action"] == Status.WOULD_REPLACE.value).sum())
    places = table[["leaf", "apiOwner"]].drop_duplicates().itertuples(index=False, name=None)
    return Plan(source.name, lines, replaces, frozenset(places))


def _require_known(name: str, rows: Sequence[int]) -> None:
    """Raises InputError that names the rows of an action that no dry run writes."""
    if rows:
        named = ", ".join(map(str, rows[:_NAMED])) + (", ..." if len(rows) > _NAMED else "")
        raise InputError(
            f"{name} has an unknown action in row{'' if len(rows) == 1 else 's'} {named}; nothing was sent."
            " Lines may be removed from a plan, but not changed; make a new one with --dry-run"
        )


def _require_whole(name: str, table: pd.DataFrame) -> None:
    """Raises InputError if a line was changed: it would do something else than was planned."""
    ids = table["leafUserId"].str.contains(_UUID, regex=True)
    prints = table["fingerprint"].str.contains(_PRINT, regex=True)
    held = (table["action"] != Status.WOULD_REPLACE.value) | (table["credentialId"] != "")
    damaged = int((~(ids & prints & held)).sum())
    if damaged:
        raise InputError(
            f"{name} was damaged: {damaged} lines have no complete leafUserId, fingerprint or"
            " credentialId."
            " Lines may be removed from a plan, but not changed; make a new one with --dry-run"
        )


def _lines(table: pd.DataFrame) -> _Lines:
    growers, at = indexed(words(table["leafUserId"].tolist()))
    actions = np.array([_ACTIONS[action] for action in table["action"]], np.uint8)
    held = table[["credentialId", "createdTime"]].to_numpy(object)
    return _Lines(growers, print_words(table["fingerprint"].tolist())[at], actions[at], held[at])


def print_words(prints: Sequence[str]) -> np.ndarray:
    """Fingerprints as 32 hex digits -> two unsigned numbers each, rows x 2; zeros for what is none."""
    whole = (each if re.fullmatch(_PRINT, each) else "0" * 32 for each in prints)
    return np.frombuffer(bytes.fromhex("".join(whole)), np.uint64).reshape(-1, 2)


# --- keeping to it --------------------------------------------------------------------------------------


def kept_to(row: Row, step: Step, before: Progress, *, replaces: Recorded | None, mode: IfExists) -> Step:
    """The step, if the plan foresaw it; else the row's end, with nothing done.

    ``before``: how far the row was. ``replaces``: the credentials that the plan says `would_replace` of; None
    if it says `would_create`.
    """
    # Once something was sent the row goes to its end: a grower must not stay between old and new credentials.
    begun = before.posts or before.deletes or before.unsure or row.open_intent is not None
    untouched = before.action is Action.ASK and not begun
    match step:
        case Next(progress) if progress.action is Action.ASK:
            return step
        case Next(progress) if progress.action is Action.POST:
            return _outdated(Status.NOT_ATTEMPTED, replaces) if replaces and untouched else step
        case Next(progress):
            planned = replaces and (begun or _is_held(progress.old, replaces))
            return step if planned else _outdated(Status.EXISTING, replaces)
        case Finish(Status.EXISTING) if (
            replaces and untouched and mode is IfExists.OVERWRITE and _is_held(step.credential, replaces)
        ):
            return Next(before._replace(action=Action.POST, failures=0))
        case Finish(Status.EXISTING) if not (replaces and begun):
            told = _outdated(Status.EXISTING, replaces)
            return replace(step, code=told.code, message=step.message or told.message)
        case Finish():
            return step


def _is_held(found: Credential | None, planned: Recorded) -> bool:
    """Whether Leaf shows the credentials that the plan names."""
    if found is None or found.id != planned.id:
        return False
    if not (found.created_time or planned.created_time):
        return True
    return is_same(found, planned.id, planned.created_time)


def _outdated(status: Status, replaces: Recorded | None) -> Finish:
    planned = Status.WOULD_REPLACE if replaces else Status.WOULD_CREATE
    holds = "none" if status is Status.NOT_ATTEMPTED else "credentials"
    if replaces and status is Status.EXISTING:
        holds = "other credentials, or those of the file,"
    return Finish(status, OUTDATED, outdated(planned, holds))


def outdated(planned: Status, holds: str) -> str:
    """That Leaf holds something else than when the plan was made, for people."""
    return f"planned as {planned}, but Leaf now holds {holds}"
