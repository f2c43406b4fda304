"""The Leaf users that the ledger knows by an externalId or email, and POSTs of users without an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from sqlalchemy import delete, func, insert, select, update

from bulk_onboard.domain.users import UserRecord
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.database import retried
from bulk_onboard.ledger.ledger import Fence, Ledger

_IS_KNOWN = schema.leaf_user.c.leaf_user_id != ""


class LedgerUsers:
    """The users of one API owner at one Leaf, for one run. Every method commits before it returns."""

    def __init__(self, ledger: Ledger, leaf: str, owner: str) -> None:
        """Raises LedgerError."""
        self._ledger, self.retry = ledger, ledger.retry
        # Users belong to no provider.
        self._scope = ledger.scope(leaf, owner, "")
        self._mine = schema.leaf_user.c.scope_id == self._scope

    @retried
    def known(self) -> pa.Table:
        """Return the known users: key (16 bytes) and id (UUID as text)."""
        users, types = schema.leaf_user.c, pa.schema({"key": pa.binary(), "id": pa.string()})
        query = select(users.key, users.leaf_user_id.label("id")).where(self._mine, _IS_KNOWN)
        with self._ledger.arrow(query) as reader:
            return pa.Table.from_batches([batch.cast(types) for batch in reader if len(batch)], types)

    @retried
    def open_keys(self) -> frozenset[bytes]:
        """Return the keys of users that a POST without an outcome may have created."""
        users = schema.leaf_user.c
        query = select(users.key).where(self._mine, ~_IS_KNOWN, users.intended_at != "")
        with self._ledger.reading() as db:
            return frozenset(db.execute(query).scalars())

    @retried
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

        Raises LedgerError if there are intents, and another run has begun since.
        """
        lines = {
            key: {"scope_id": self._scope, "key": key, "run_no": run_no, **_values(record)}
            for record in (*intents, *outcomes)
            for key in record.keys
        }
        users = schema.leaf_user
        with self._ledger.intending(fence) if intents else self._ledger.writing() as db:
            db.execute(delete(users).where(self._mine, users.c.key.in_(list(lines))))
            db.execute(insert(users), list(lines.values()))

    @retried
    def forget_lost(self, run_no: int) -> None:
        """Forget users of earlier runs that Leaf did not know in this one, so that they are looked up again.

        Users that this run found or created stay: Leaf may show new users late.
        """
        entry, users = schema.entry.c, schema.leaf_user
        lost = select(entry.leaf_user_id).where(
            entry.run_no == run_no, entry.code == "no-such-user", entry.leaf_user_id != ""
        )
        forgetting = update(users).where(self._mine, users.c.run_no != run_no, users.c.leaf_user_id.in_(lost))
        with self._ledger.writing() as db:
            db.execute(forgetting.values(leaf_user_id="", origin="", intended_at=""))


@retried
def count_users(ledger: Ledger, run_no: int) -> dict[str, int]:
    """Return how many users a run created and found, by `UserOrigin`."""
    users = schema.leaf_user.c
    query = select(users.origin, func.count(users.leaf_user_id.distinct()))
    query = query.where(users.run_no == run_no, _IS_KNOWN).group_by(users.origin)
    with ledger.reading() as db:
        return {str(origin): int(count) for origin, count in db.execute(query)}


def _values(record: UserRecord) -> dict[str, str]:
    return {"leaf_user_id": record.leaf_user_id, "origin": record.origin, "intended_at": record.intended_at}
