"""The current state of each grower: what the entry of the newest run that had to do with it says.

It is written with the entries, in the same transaction, and read as a whole before a run sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    Connection,
    LargeBinary,
    Select,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from bulk_onboard.domain.entry import OTHERS, Entry, may_be_same_owner
from bulk_onboard.domain.model import Status
from bulk_onboard.ledger import schema

# In place of the fingerprint of secrets other than the row's: equal to no fingerprint. NULL: not known.
OTHER_SECRETS = bytes(16)
_TABLE = schema.grower
_CONNECTED = (Status.CREATED.value, Status.EXISTING.value)
# Growers that one statement looks for: the parameters of a statement are limited.
_BATCH = 10_000

SCHEMA = pa.schema(
    [
        ("id", pa.uuid()),
        ("status", pa.string()),  # null: an intent without an outcome
        ("code", pa.string()),
        ("fingerprint", pa.uuid()),  # of 16 bytes as well; null: it is not known which secrets Leaf holds
        ("app", pa.int64()),  # 0: not known
        ("health", pa.string()),
        ("health_checked_at", pa.string()),
        ("credential_id", pa.string()),
    ]
)


# --- writing ------------------------------------------------------------------------------------------


def uuid_bytes(leaf_user_id: str) -> bytes:
    """Return the 16 bytes of a UUID. Raises ValueError for any other text."""
    data = bytes.fromhex(leaf_user_id.replace("-", ""))
    if len(data) != 16:
        raise ValueError("not a UUID")
    return data


def _fingerprint_bytes(text: str) -> bytes | None:
    if text == OTHERS:
        return OTHER_SECRETS
    return bytes.fromhex(text) or None


def fingerprint_text(data: bytes | None) -> str:
    """Return a stored fingerprint as an `Entry` has it."""
    return OTHERS if data == OTHER_SECRETS else (data or b"").hex()


COLUMNS = tuple(_TABLE.c.keys())


def line(run_no: int, scope: int, entry: Entry) -> tuple[Any, ...]:
    """Return the values of `COLUMNS` for the entry of a grower. Raises ValueError if its id is not a UUID."""
    is_created = entry.status == Status.CREATED and entry.credential_id
    has_others = entry.status == Status.EXISTING and entry.code == "token-changed"
    return (
        scope,
        uuid_bytes(entry.leaf_user_id),
        run_no,
        entry.status,
        entry.code,
        OTHER_SECRETS if has_others else _fingerprint_bytes(entry.fingerprint),
        entry.app,
        entry.health,
        entry.health_checked_at,
        entry.credential_id,
        entry.intended_at,
        entry.deleting,
        entry.deleting_created,
        run_no if is_created else None,
        entry.row if is_created else None,
        run_no if entry.event_status else None,
        entry.row if entry.event_status else None,
    )


def upsert_entry(insert: Any) -> Any:
    """Complete ``insert``: an entry replaces what the run had for its row."""
    replaced = {name: insert.excluded[name] for name in schema.entry.c.keys()[2:]}
    return insert.on_conflict_do_update(index_elements=["run_no", "row"], set_=replaced)


def upsert(insert: Any) -> Any:
    """Complete ``insert``: it stores a `line` unless a newer run has stored one for the grower.

    A grower that --if-exists fail rejects is not sent, so what an earlier run did for it is still true.
    """
    new = insert.excluded
    replaced = {name: new[name] for name in COLUMNS[2:]}
    for name in COLUMNS[-4:]:
        replaced[name] = func.coalesce(new[name], _TABLE.c[name])
    was_sent = or_(
        new.code != _text("already-exists"),
        func.coalesce(new.status, _text("")) != _text(Status.REJECTED),
        func.coalesce(_TABLE.c.status, _text("")).not_in([_text(status) for status in _CONNECTED]),
    )
    return insert.on_conflict_do_update(
        index_elements=["scope_id", "id"],
        set_=replaced,
        where=and_(new.run_no >= _TABLE.c.run_no, was_sent),
    )


def _text(value: str) -> Any:
    """A constant that is part of the statement's text: its only parameters are the values of a line."""
    return literal_column(f"'{value}'")


_SAW_EVENT = (
    update(_TABLE)
    .where(_TABLE.c.scope_id == bindparam("of_scope"), _TABLE.c.id == bindparam("of_id"))
    .where(func.coalesce(_TABLE.c.event_run, 0) < bindparam("run"))
    .values(event_run=bindparam("run"), event_row=bindparam("row"))
)


def keep_events(db: Connection, lines: Iterable[tuple[Any, ...]]) -> None:
    """Remember the events of these lines, although a newer run may have stored the growers' states."""
    seen = [
        {"of_scope": line[0], "of_id": line[1], "run": line[2], "row": line[-1]} for line in lines if line[-1]
    ]
    if seen:
        db.execute(_SAW_EVENT, seen)


# --- reading ------------------------------------------------------------------------------------------


def kin(db: Connection, scope: int) -> list[int]:
    """Return this scope and those that may have the same API owner, as a token need not state its owner."""
    table = schema.scope
    own = select(table.c.leaf, table.c.provider).filter_by(id=scope)
    query = select(table.c.id, table.c.owner).filter(tuple_(table.c.leaf, table.c.provider).in_(own))
    owners = {int(line.id): str(line.owner) for line in db.execute(query)}
    return [number for number, owner in owners.items() if may_be_same_owner(owner, owners[scope])]


def newest(scopes: Sequence[int], *columns: Any, indexed: bool = True) -> Select[Any]:
    """Select from the states of these scopes; of several states of one grower that of the newest run.

    ``indexed``: False to read the whole table from one end to the other, which is faster for all growers.
    """
    query = select(*columns).where((_TABLE.c.scope_id if indexed else _TABLE.c.scope_id + 0).in_(scopes))
    if len(scopes) > 1:
        newer = _TABLE.alias()
        of_same = (newer.c.scope_id.in_(scopes), newer.c.id == _TABLE.c.id, newer.c.run_no > _TABLE.c.run_no)
        query = query.where(~select(newer.c.id).where(*of_same).exists())
    return query


def current(scopes: Sequence[int], scope: int) -> Select[Any]:
    """Select the columns of `SCHEMA` of all growers of a scope, one of ``scopes``.

    What was done in another scope is no reason not to ask: such a connected grower is left out. There is no
    NULL, because the type of a column of SQLite is that of its first values: see `typed`.
    """
    columns = {name: _TABLE.c[name] for name in SCHEMA.names}
    columns["status"] = func.coalesce(_TABLE.c.status, "")
    columns["fingerprint"] = func.coalesce(_TABLE.c.fingerprint, cast(_text(""), LargeBinary))
    query = newest(scopes, *(column.label(name) for name, column in columns.items()), indexed=False)
    return query.where(or_(_TABLE.c.scope_id == scope, columns["status"].not_in(_CONNECTED)))


def typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return what `current` selects as `SCHEMA` has it."""
    columns = {name: batch[name] for name in SCHEMA.names}
    for name, nothing in (("status", ""), ("fingerprint", b"")):
        columns[name] = pc.if_else(pc.equal(columns[name], nothing), None, columns[name])
    for name in ("id", "fingerprint"):
        columns[name] = pa.ExtensionArray.from_storage(pa.uuid(), columns[name].cast(pa.binary(16)))
    arrays = [column.cast(field.type) for column, field in zip(columns.values(), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield as many values at a time as a statement can have as parameters."""
    for first in range(0, len(values), _BATCH):
        yield values[first : first + _BATCH]
