"""The ledger's tables.

    scope   one Leaf, API owner and provider: the sandbox and the real Leaf never share rows. Users
            are of a scope without a provider: the same email may be another user for another API owner
    run     one run; `details` is its `RunInfo` as JSON, the other columns are what queries look for
    ending  the counts of a run, made of its blocks and entries when its files are written. `content` is a
            digest of its input, `attention` the growers that need attention, as Parquet
    block   some rows of a run's input, as streams of Arrow
    leaf_user  the user that an externalId or email belongs to: `key` is a keyed fingerprint of that,
            `leaf_user_id` the user that was found or created, and `origin` which of both. While it is "",
            `intended_at` is the time of a POST that may have created one. `run_no`: the run that wrote this
    leader  of a run on several processes: until when Leaf wants no requests, how long the leader's lease
            lasts, and why all of them stop. Times are seconds since 1970 by the database's clock. A run that
            has ended has none, and no claims
    claim   a part of a run's rows that a worker has in hand: which claim of the part this is (its epoch), how
            long its lease lasts, and what all workers have sent for the part
    entry   what a run did with one row: the intent, then the outcome. Rows without either have none
    grower  the current state of each grower of a scope: what the entry of the newest run says, written in
            the same transaction (see state.py). `id` is the UUID's 16 bytes. `created_run` and `created_row`
            name the newest entry that stored credentials, `event_run` and `event_row` the newest one that
            saw an event of the provider; NULL if there is none

    notified  what the latest message about runs of a scope with one provider said: the run, its exit code,
            and the growers that needed attention, as Parquet
    dismissal  a grower left without credentials that a person dismissed, as of the run ``run_no``

An entry whose ``status`` is NULL is an intent without an outcome: it is ambiguous, so Leaf is asked. No
column ever holds a secret: fingerprints are keyed, replies are not kept.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# As wide in both databases; SQLite numbers new lines automatically only for INTEGER.
Whole = BigInteger().with_variant(Integer(), "sqlite")

# Written into each ledger. There are no migrations: a ledger of another version is refused.
VERSION = "3"

metadata = MetaData()

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

scope = Table(
    "scope",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("leaf", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("provider", Text, nullable=False),
    UniqueConstraint("leaf", "owner", "provider"),
)

run = Table(
    "run",
    metadata,
    Column("no", Whole, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("holder", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("finished_at", Text),
    Column("details", Text, nullable=False),
)

block = Table(
    "block",
    metadata,
    Column("run_no", ForeignKey("run.no"), primary_key=True),
    Column("seq", Whole, primary_key=True),
    Column("first_row", Whole, nullable=False),
    Column("last_row", Whole, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

ending = Table(
    "ending",
    metadata,
    Column("run_no", ForeignKey("run.no"), primary_key=True),
    Column("counts", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("content", Text),
    Column("attention", LargeBinary),
)

leaf_user = Table(
    "leaf_user",
    metadata,
    Column("scope_id", ForeignKey("scope.id"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("leaf_user_id", Text, nullable=False, server_default=""),
    Column("origin", Text, nullable=False, server_default=""),
    Column("intended_at", Text, nullable=False, server_default=""),
    Column("run_no", Whole, nullable=False),
    sqlite_with_rowid=False,
)

leader = Table(
    "leader",
    metadata,
    Column("run_no", ForeignKey("run.no"), primary_key=True),
    Column("paused_until", Float, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("stop", Text, nullable=False, server_default=""),
)

claim = Table(
    "claim",
    metadata,
    Column("run_no", ForeignKey("run.no"), primary_key=True),
    Column("part", Whole, primary_key=True),
    Column("epoch", Whole, nullable=False, server_default="0"),
    Column("lease_until", Float, nullable=False, server_default="0"),
    Column("requests", Text, nullable=False, server_default=""),
)

# The columns after the first two are the fields of an `Entry`, in their order.
entry = Table(
    "entry",
    metadata,
    Column("run_no", ForeignKey("run.no"), primary_key=True),
    Column("scope_id", ForeignKey("scope.id"), nullable=False),
    Column("row", Whole, primary_key=True),
    Column("status", Text),
    Column("leaf_user_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("http_status", Whole),
    Column("attempts", Whole, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("credential_status", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("event_status", Whole),
    Column("event_at", Text, nullable=False),
    Column("intended_at", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text, nullable=False),
    Column("latency_ms", Float),
    Column("deleting", Text, nullable=False),
    Column("credential_created", Text, nullable=False),
    Column("deleting_created", Text, nullable=False),
    Column("health_checked_at", Text, nullable=False),
    Column("app", Whole, nullable=False),
    Column("unproven", Whole, nullable=False),
    sqlite_with_rowid=False,
)

grower = Table(
    "grower",
    metadata,
    Column("scope_id", Whole, primary_key=True),
    Column("id", LargeBinary, primary_key=True),
    Column("run_no", Whole, nullable=False),
    Column("status", Text),
    Column("code", Text, nullable=False),
    Column("fingerprint", LargeBinary),
    Column("app", Whole, nullable=False),
    Column("health", Text, nullable=False),
    Column("health_checked_at", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("intended_at", Text, nullable=False),
    Column("deleting", Text, nullable=False),
    Column("deleting_created", Text, nullable=False),
    Column("created_run", Whole),
    Column("created_row", Whole),
    Column("event_run", Whole),
    Column("event_row", Whole),
)

dismissal = Table(
    "dismissal",
    metadata,
    Column("scope_id", ForeignKey("scope.id"), primary_key=True),
    Column("leaf_user_id", Text, primary_key=True),
    Column("run_no", Whole, nullable=False),
    sqlite_with_rowid=False,
)

notified = Table(
    "notified",
    metadata,
    Column("scope_id", ForeignKey("scope.id"), primary_key=True),
    Column("run_no", Whole, nullable=False),
    Column("exit_code", Whole),
    Column("attention", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Entries of credentials that were deleted, or may have been. `postgres` adds the same condition for its own
# index: to name it here would load all of SQLAlchemy's part for it.
entry_deleting = Index("entry_deleting", entry.c.scope_id, sqlite_where=entry.c.deleting != "")
