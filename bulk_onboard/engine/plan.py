"""A plan: what a dry run said would happen to each row, read from its file and carried out exactly.

A person may delete lines of the plan. Provider and grower identify a row, and its fingerprint must not have
changed; the order and the numbers of the rows do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.model import Recorded, Status
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.first_pass import FirstPass
from bulk_onboard.engine.row_choice import both
from bulk_onboard.engine.rows_to_check import rows_unknown
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.policy.checks import Check
from bulk_onboard.policy.plan import OUTDATED, outdated
from bulk_onboard.validation.columns import normalize

# The columns of plan.csv, and those that are read again. They state the Leaf and the API owner.
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
        for theirs, api_owner in sorted(self.places - {(leaf, owner)}):
            asked, says = (theirs or "no Leaf", leaf) if theirs != leaf else (f"{leaf} as {api_owner}", owner)
            raise UsageError(
                f"{self.name} was made at {asked}, but the settings say {says}: make a new plan"
                " with --dry-run"
            )


def plan_of(source: Source) -> Plan:
    """The plan in a file. Raises InputError if it is none."""
    named = {normalize(name): position for position, name in enumerate(source.header)}
    missing = [name for name in READ if normalize(name) not in named]
    if missing:
        raise InputError(
            f"{source.name} is not a plan: it has no column {', '.join(missing)};"
            " `bulk-onboard run FILE --dry-run` writes one"
        )
    positions = [named[normalize(name)] for name in READ]
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
    complete = (table["action"] != Status.WOULD_REPLACE.value) | (table["credentialId"] != "")
    damaged = int((~(ids & prints & complete)).sum())
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


# --- carrying it out

NOT_IN_PLAN = "not-in-plan"
_AGAIN = "when the plan was made, and not asked about again"
# What becomes of rows that a plan says something of, but not that they are sent: status, code, message.
_LEFT_OUT = {
    NOT_IN_PLAN: (Status.NOT_ATTEMPTED, NOT_IN_PLAN, ""),
    Status.EXISTING.value: (Status.EXISTING, NOT_IN_PLAN, f"existing {_AGAIN}"),
    Status.REJECTED.value: (Status.REJECTED, NOT_IN_PLAN, f"rejected {_AGAIN}"),
    Status.NO_SUCH_USER.value: (Status.REJECTED, "no-such-user", f"no such user {_AGAIN}"),
    "changed": (Status.NOT_ATTEMPTED, OUTDATED, "the row has another token than when the plan was made"),
}


def restricted(first_pass: FirstPass, plan: Plan, *, checked: bool) -> tuple[FirstPass, dict[int, Recorded]]:
    """The first pass without the rows that the plan leaves out, and by row the credentials that it replaces.

    ``checked``: the run checks events. That check then verifies the rows that were connected when the plan
    was made.
    """
    said = first_pass.workspace.planned(plan.lines).to_pandas()
    rows = {str(name): lines["row"].to_numpy(np.int64) for name, lines in said.groupby("says")}
    replaced = said[said["says"] == Status.WOULD_REPLACE.value]
    records = map(Recorded, replaced["credential_id"], replaced["credential_created"])
    none = np.empty(0, np.int64)
    sent = [rows.get(status.value, none) for status in (Status.WOULD_CREATE, Status.WOULD_REPLACE)]
    connected = rows.pop(Status.EXISTING.value, none) if checked else none
    for says, outcome in _LEFT_OUT.items():
        first_pass.workspace.mark(rows.get(says, none), outcome)
    wanted = both(first_pass.wanted, np.concatenate(sent))
    first_pass = replace(first_pass, wanted=wanted, connected=both(first_pass.wanted, connected))
    return first_pass, dict(zip(replaced["row"].tolist(), records, strict=True))


def rows_planned(file: CheckedFile, first_pass: FirstPass) -> Iterator[Check]:
    """The rows that a plan says are connected, to see whether they still are."""
    if len(first_pass.connected):
        for check in rows_unknown(file, replace(first_pass, wanted=first_pass.connected)):
            entry = check.entry._replace(code=OUTDATED, message=outdated(Status.EXISTING, "none"))
            yield check._replace(entry=entry)
