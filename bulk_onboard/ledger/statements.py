"""The SQL that runs for every row or reads all of them: written out, as it takes and gives plain tuples."""

from __future__ import annotations

from bulk_onboard.entry import OTHERS, Entry
from bulk_onboard.growers import State
from bulk_onboard.model import Status

# The columns of an entry; its provider is told by its scope.
STORED = Entry._fields[:-1]


def _upsert(*replaced: str) -> str:
    """SQL that inserts an entry of a run, or replaces these columns of the one that is there.

    Written out, so that plain tuples go straight to the driver: the one statement that runs for every row.
    """
    names = ("run_no", "scope_id", *STORED)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in replaced)
    return (
        f"INSERT INTO entry ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        f" ON CONFLICT (run_no, row) DO UPDATE SET {assignments}"
    )


# Who ended like this after the old credentials were deleted has none: asked about first, like an intent.
_NOT_CONNECTED = ", ".join(f"'{status}'" for status in (Status.REJECTED, Status.FAILED, Status.NOT_ATTEMPTED))

# The columns of `growers`, the oldest first. The plus signs keep SQLite from walking through all runs.
NEWER = f"""
    SELECT leaf_user_id, fingerprint,
        CASE WHEN status IS NULL OR status = '{Status.UNRESOLVED}' THEN {State.OPEN}
            WHEN deleting != '' AND status IN ({_NOT_CONNECTED}) THEN {State.OPEN}
            WHEN status NOT IN ('{Status.CREATED}', '{Status.EXISTING}') THEN {State.TO_DO}
            WHEN code = 'token-changed' OR fingerprint = '{OTHERS}' THEN {State.TOKEN_CHANGED}
            ELSE {State.DONE} END,
        health, credential_id
    FROM entry WHERE +scope_id = ? AND run_no > ? AND +leaf_user_id != '' ORDER BY run_no
"""  # noqa: S608

INTEND = _upsert("status", "intended_at", "deleting")
SETTLE = _upsert(*(name for name in STORED if name != "row"))
