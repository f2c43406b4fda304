"""The SQL that runs for every row or reads all of them: written out, as it takes and gives plain tuples."""

from __future__ import annotations

from collections.abc import Sequence

from bulk_onboard.entry import OTHERS, Entry
from bulk_onboard.growers import State
from bulk_onboard.model import NOT_AS_ASKED, Status

# The columns of an entry; its provider is told by its scope.
STORED = Entry._fields[:-1]
# Those of a line, in this order.
LINE = ("run_no", "scope_id", *STORED)

# What an intent replaces of the entry that its row has, and what an outcome does.
INTENT = ("status", "leaf_user_id", "intended_at", "deleting", "deleting_created")
OUTCOME = tuple(name for name in STORED if name != "row")
# And where the intent has told whose it is: an index that is left alone is half of what is to be written.
OUTCOME_OF_INTENT = tuple(name for name in OUTCOME if name != "leaf_user_id")


def upsert(mark: str, replaced: Sequence[str]) -> str:
    """SQL that inserts a line, or replaces these columns of the one that is there.

    ``mark`` is what the driver wants for a value. Plain tuples go straight to it: this runs for every row.
    """
    return inserted(f"VALUES ({', '.join([mark] * len(LINE))})", replaced)


def inserted(lines: str, replaced: Sequence[str]) -> str:
    """The same for ``lines`` that are told in SQL."""
    assignments = ", ".join(f"{name} = excluded.{name}" for name in replaced)
    return (
        f"INSERT INTO entry ({', '.join(LINE)}) {lines} ON CONFLICT (run_no, row) DO UPDATE SET {assignments}"
    )


# Who ended like this after the old credentials were deleted has none: asked about first, like an intent.
_NOT_CONNECTED = ", ".join(f"'{status}'" for status in (Status.REJECTED, Status.FAILED, Status.NOT_ATTEMPTED))


# Leaf showed another application than the row's, and which one is not known: it is asked again.
_NOT_AS_ASKED = ", ".join(f"'{code}'" for code in NOT_AS_ASKED)


def in_scopes(scopes: Sequence[int]) -> str:
    """SQL that lists scopes: numbers of ours, so that they need no parameters."""
    return ", ".join(map(str, scopes))


def states(scope: int) -> str:
    """The columns of `growers`. What was done in another scope than this one is no reason not to ask."""
    return f"""leaf_user_id, fingerprint, app,
    CASE WHEN scope_id != {scope} AND status IN ('{Status.CREATED}', '{Status.EXISTING}') THEN {State.TO_DO}
        WHEN status IS NULL OR status = '{Status.UNRESOLVED}' THEN {State.OPEN}
        WHEN deleting != '' AND status IN ({_NOT_CONNECTED}) THEN {State.OPEN}
        WHEN status NOT IN ('{Status.CREATED}', '{Status.EXISTING}') THEN {State.TO_DO}
        WHEN code IN ({_NOT_AS_ASKED}) THEN {State.TO_DO}
        WHEN fingerprint = '{OTHERS}' OR (code = 'token-changed' AND status = '{Status.EXISTING}')
        THEN {State.TOKEN_CHANGED}
        WHEN code = 'credentials-gone' THEN {State.GONE}
        ELSE {State.DONE} END AS state,
    health, credential_id, health_checked_at"""


def _rejected_unsent(table: str) -> str:
    return f"{table}.code = 'already-exists' AND COALESCE({table}.status, '') = '{Status.REJECTED}'"


# What --if-exists fail rejects is not sent, so what an earlier run did for the grower is still true.
_CHANGED_NOTHING = f"""{_rejected_unsent("entry")} AND COALESCE((
    SELECT earlier.status FROM entry AS earlier
    WHERE earlier.scope_id = entry.scope_id AND earlier.leaf_user_id = entry.leaf_user_id
        AND earlier.leaf_user_id != '' AND earlier.run_no < entry.run_no
        AND NOT ({_rejected_unsent("earlier")})
    ORDER BY earlier.run_no DESC LIMIT 1), '') IN ('{Status.CREATED}', '{Status.EXISTING}')"""  # noqa: S608


def selected(columns: str, where: str) -> str:
    """SQL for these columns of those entries, the oldest first; without those that changed nothing."""
    return f"SELECT {columns} FROM entry WHERE {where} AND NOT ({_CHANGED_NOTHING}) ORDER BY run_no"  # noqa: S608


def of_rows(mark: str) -> str:
    """SQL for the entries of a run from one row to another, as `Entry` has them, in row order."""
    columns = ", ".join(f"entry.{name}" for name in STORED)
    return (
        f"SELECT {columns}, scope.provider FROM entry JOIN scope ON scope.id = entry.scope_id"  # noqa: S608
        f" WHERE entry.run_no = {mark} AND entry.row BETWEEN {mark} AND {mark} ORDER BY entry.row"
    )
