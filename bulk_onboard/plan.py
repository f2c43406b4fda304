"""A plan: what a dry run said would happen to each row, to be carried out exactly. Pure.

A person may take lines out of it. Rows are told apart by provider and grower, and must have the fingerprint
that they had, so neither order nor numbers of rows matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.chunk import Source
from bulk_onboard.errors import InputError, UsageError
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


_KNOWN_ACTIONS = [status.value for status in Status]
# How many rows a message names.
_NAMED = 10
# Actions that say something of a row; the others, such as `invalid`, were never about a grower.
_ACTIONS = [
    status.value
    for status in (
        Status.WOULD_CREATE,
        Status.WOULD_REPLACE,
        Status.EXISTING,
        Status.REJECTED,
        Status.NO_SUCH_USER,
    )
]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan by its file's ``name``; ``replaces``: how many growers' credentials it replaces.

    ``lines``: as the workspace's table ``plan`` has them, one for each grower of a provider.
    ``places``: the Leaf and the API owner that were asked, one of each unless somebody put plans together.
    """

    name: str
    lines: pa.Table
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
        parts.append(table[table["action"].isin(_ACTIONS)])
    _require_known(source.name, unknown)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(READ), dtype="str")
    _require_whole(source.name, table)
    replaces = int((table["action"] == Status.WOULD_REPLACE.value).sum())
    places = table[["leaf", "apiOwner"]].drop_duplicates().itertuples(index=False, name=None)
    return Plan(source.name, _lines(table), replaces, frozenset(places))


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


def _lines(table: pd.DataFrame) -> pa.Table:
    table = table.drop_duplicates(["provider", "leafUserId"])
    ids = [UUID(text).bytes for text in table["leafUserId"]]
    return pa.table(
        {
            "provider": pa.array(table["provider"], pa.string()),
            "id": pa.ExtensionArray.from_storage(pa.uuid(), pa.array(ids, pa.binary(16))),
            "action": pa.array(table["action"], pa.string()),
            "fingerprint": pa.array([bytes.fromhex(text) for text in table["fingerprint"]], pa.binary()),
            "credential_id": pa.array(table["credentialId"], pa.string()),
            "credential_created": pa.array(table["createdTime"], pa.string()),
        }
    )


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
