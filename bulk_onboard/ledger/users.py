"""The Leaf users that the ledger knows by an externalId or email, and POSTs of users without an outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import delete, func, insert, select, update

from bulk_onboard.domain.users import UserRecord
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.fence import Fence
from bulk_onboard.ledger.lasting import lasting
from bulk_onboard.ledger.ledger import Ledger

BATCH = 10_000
_IS_KNOWN = schema.leaf_user.c.leaf_user_id != ""


class LedgerUsers:
    """The users of one API owner at one Leaf, for one run. Every method commits before it returns."""

    def __init__(self, ledger: Ledger, leaf: str, owner: str) -> None:
        """Raises LedgerError."""
        self._ledger, self.patience = ledger, ledger.patience
        self._directory = _directory(ledger, leaf, owner)

    def known(self) -> Iterator[tuple[tuple[bytes, ...], tuple[str, ...]]]:
        """Yield keys and the ids of their users as columns, a batch at a time."""
        last = b""
        while batch := self._known_after(last):
            keys, ids = zip(*batch, strict=True)
            yield keys, ids
            last = keys[-1]

    def known_table(self) -> pa.Table:
        """Return the known users as a table: key (16 bytes) and id (UUID as text)."""
        types = pa.schema({"key": pa.binary(), "id": pa.string()})
        batches = [pa.record_batch([list(keys), list(ids)], types) for keys, ids in self.known()]
        return pa.Table.from_batches(batches, types)

    @lasting
    def _known_after(self, key: bytes) -> list[tuple[bytes, str]]:
        leaf_user = schema.leaf_user
        query = select(leaf_user.c.key, leaf_user.c.leaf_user_id)
        query = query.filter(leaf_user.c.directory_id == self._directory, leaf_user.c.key > key, _IS_KNOWN)
        with self._ledger.reading() as db:
            # Straight from the driver: SQLAlchemy's own rows would take twice as long again.
            found: Any = db.execute(query.order_by(leaf_user.c.key).limit(BATCH)).cursor
            return list(found.fetchall())

    @lasting
    def open_keys(self) -> frozenset[bytes]:
        """Return the keys of users that a POST without an outcome may have created."""
        leaf_user = schema.leaf_user
        query = select(leaf_user.c.key).filter(leaf_user.c.directory_id == self._directory, ~_IS_KNOWN)
        with self._ledger.reading() as db:
            return frozenset(db.execute(query.filter(leaf_user.c.intended_at != "")).scalars())

    @lasting
    def write(
        self,
        run_no: int,
        scope: int,  # noqa: ARG002  (users belong to no provider)
        intents: Sequence[UserRecord],
        outcomes: Sequence[UserRecord],
        scopes: Mapping[str, int],  # noqa: ARG002
        *,
        fence: Fence,
    ) -> None:
        """Commit intents and outcomes in one transaction; they replace what was known of the same keys.

        Raises LedgerBusy if there are intents, and another run has begun since.
        """
        lines = {
            key: {"directory_id": self._directory, "key": key, "run_no": run_no, **_values(each)}
            for each in (*intents, *outcomes)
            for key in each.keys
        }
        leaf_user = schema.leaf_user
        with self._ledger.intending(fence) if intents else self._ledger.writing() as db:
            gone = delete(leaf_user).filter(leaf_user.c.directory_id == self._directory)
            db.execute(gone.filter(leaf_user.c.key.in_(list(lines))))
            db.execute(insert(leaf_user), list(lines.values()))

    @lasting
    def forget_lost(self, run_no: int) -> None:
        """Forget users of earlier runs that Leaf did not know in this one, so that they are looked up again.

        Users that this run found or created stay: Leaf may show new users late.
        """
        entry, leaf_user = schema.entry, schema.leaf_user
        lost = select(entry.c.leaf_user_id).filter(
            entry.c.run_no == run_no, entry.c.code == "no-such-user", entry.c.leaf_user_id != ""
        )
        mine = (leaf_user.c.directory_id == self._directory, leaf_user.c.run_no != run_no)
        forgetting = update(leaf_user).filter(*mine, leaf_user.c.leaf_user_id.in_(lost))
        with self._ledger.writing() as db:
            db.execute(forgetting.values(leaf_user_id="", origin="", intended_at=""))


@lasting
def count_users(ledger: Ledger, run_no: int) -> dict[str, int]:
    """Return how many users a run created and found, by `UserOrigin`."""
    leaf_user = schema.leaf_user
    query = select(leaf_user.c.origin, func.count(leaf_user.c.leaf_user_id.distinct()))
    query = query.filter(leaf_user.c.run_no == run_no, _IS_KNOWN).group_by(leaf_user.c.origin)
    with ledger.reading() as db:
        return {str(origin): int(count) for origin, count in db.execute(query)}


def _values(each: UserRecord) -> dict[str, str]:
    return {"leaf_user_id": each.leaf_user_id, "origin": each.origin, "intended_at": each.intended_at}


@lasting
def _directory(ledger: Ledger, leaf: str, owner: str) -> int:
    directory = schema.directory
    query = select(directory.c.id).filter_by(leaf=leaf, owner=owner)
    with ledger.writing() as db:
        found = db.execute(query).scalar_one_or_none()
        if found is None:
            db.execute(insert(directory).values(leaf=leaf, owner=owner))
            found = db.execute(query).scalar_one()
        return int(found)
