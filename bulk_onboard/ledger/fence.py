"""Who may write intents: the run that began last, and nobody else.

A lock can be lost while its holder lives on (the database's server starts again, the network breaks), and
then another run may begin. Each run therefore begins an epoch, and an intent is committed in the same
transaction that finds the epoch still to be the run's own. What is not committed is not sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from bulk_onboard.errors import LedgerBusy
from bulk_onboard.ledger import schema

if TYPE_CHECKING:
    from bulk_onboard.ledger.database import Dialect

# Called in the transaction that is to write intents; raises LedgerBusy if they must not be.
Fence = Callable[[Connection], None]
_KEY = "epoch"
# Made once: it is asked in every group commit, and making it takes longer than asking.
_BEGUN = select(schema.meta.c.value).filter_by(key=_KEY).with_for_update(read=True)


def unfenced(_db: Connection) -> None:
    """For whom nothing but the epoch counts."""


def new_epoch() -> str:
    """The name of an epoch that nobody has begun yet."""
    return secrets.token_hex(16)


def begin_epoch(dialect: Dialect, db: Connection, epoch: str) -> None:
    """From this transaction's commit on, no other run writes an intent."""
    made = dialect.insert(schema.meta).values(key=_KEY, value=epoch)
    db.execute(made.on_conflict_do_update(index_elements=["key"], set_={"value": made.excluded.value}))


def is_ours(db: Connection, epoch: str | None) -> bool:
    """Whether no other run has begun since, which then holds until the transaction ends.

    ``epoch`` None: of a ledger on which none was begun.
    """
    return epoch is None or db.execute(_BEGUN).scalar_one_or_none() == epoch


def require_ours(db: Connection, epoch: str | None, shown: str) -> None:
    """Raises LedgerBusy if another run has begun since."""
    if not is_ours(db, epoch):
        raise taken_over(shown)


def taken_over(shown: str) -> LedgerBusy:
    """Another run has begun since."""
    return LedgerBusy(
        f"another run has taken over the ledger {shown}: nothing more is sent; run the same command again"
        " when that run has ended"
    )
