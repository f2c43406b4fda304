"""The ledger: SQLAlchemy Core over a database. Synchronous; one may write while others read."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Self

import pyarrow as pa
from pydantic import TypeAdapter
from sqlalchemy import Connection, Select, Table, and_, bindparam, func, select

from bulk_onboard.domain.entry import Entry, GrowerState, RecordedEvent
from bulk_onboard.domain.model import Recorded, Status
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.domain.timestamps import to_text
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import schema, state
from bulk_onboard.ledger.create import open_database, open_tables
from bulk_onboard.ledger.database import Retry, retried
from bulk_onboard.settings import LedgerPlace

# A million rows take some fifty million bytes a night.
MOST_OF_BLOCKS = 1 << 30

Entries = Iterable[Entry]
# Entries with the numbers of their runs and scopes.
Stored = list[tuple[int, int, Entry]]
Lines = list[tuple[Any, ...]]
Scopes = Mapping[str, int]
_NOTHING: Scopes = {}
# Called in the transaction that is to write intents; raises LedgerBusy if they must not be written.
Fence = Callable[[Connection], None]
# The name of the latest run to begin. Prepared once: it is read in every group commit.
_EPOCH = select(schema.meta.c.value).filter_by(key="epoch").with_for_update(read=True)
# The entries of a run from one row to another, as `Entry` has them, in row order.
_ENTRIES = (
    select(*(schema.entry.c[name] for name in Entry._fields[:-1]), schema.scope.c.provider)
    .join(schema.scope, schema.scope.c.id == schema.entry.c.scope_id)
    .where(schema.entry.c.run_no == bindparam("run_no"))
    .where(schema.entry.c.row.between(bindparam("first"), bindparam("last")))
    .order_by(schema.entry.c.row)
)


def no_fence(_db: Connection) -> None:
    """Allow every intent that the epoch allows."""


class Ledger:
    """Everything that is remembered across runs. Every method commits before it returns."""

    def __init__(
        self,
        place: LedgerPlace,
        *,
        make: bool = True,
        epoch: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Open the ledger, or create it unless ``make`` is False.

        ``epoch``: of a run that was begun in another process and is worked on here.
        Raises LedgerError if it cannot be used or is of another version, UsageError if there is none.
        """
        self._shown, self.epoch, self.retry = str(place), epoch, retry or Retry()
        self._database = open_database(place)
        self.insert: Callable[[Table], Any] = self._database.insert
        # As text: plain tuples go straight to the driver, since these run for every row.
        upserts = state.upsert_entry(self.insert(schema.entry)), state.upsert(self.insert(schema.grower))
        dialect = self._database.engine.dialect
        self._upsert_entry, self._upsert_state = (str(upsert.compile(dialect=dialect)) for upsert in upserts)
        try:
            self._open(make)
        except BaseException:
            self._database.engine.dispose()
            raise

    @retried
    def _open(self, make: bool) -> None:
        meta = open_tables(self._database, create=make)
        try:
            self.key = bytes.fromhex(meta["fingerprint_key"])
            self._vector = bytes.fromhex(meta["fingerprint_vector"])
        except (KeyError, ValueError):
            raise LedgerError(f"the ledger {self._shown} is damaged: its key cannot be read") from None

    def require_same_fingerprints(self) -> None:
        """Raise LedgerError if this version of pandas computes fingerprints that differ from the ledger's."""
        from bulk_onboard.validation.fingerprints import VECTOR, Fingerprints  # noqa: PLC0415  (imports pandas)

        if Fingerprints(self.key).of_row(VECTOR) != self._vector:
            raise LedgerError(
                f"the installed pandas computes other fingerprints than those in {self._shown}, so known"
                " growers would not be recognised: install the version of pandas that wrote this ledger;"
                " nothing was changed"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._database.engine.dispose()

    # --- runs ---------------------------------------------------------------------------------------

    @retried
    def scope(self, leaf: str, owner: str, provider: str) -> int:
        """Return the number of one Leaf, API owner and provider."""
        values = {"leaf": leaf, "owner": owner, "provider": provider}
        with self.writing() as db:
            db.execute(self.insert(schema.scope).values(values).on_conflict_do_nothing())
            return int(db.execute(select(schema.scope.c.id).filter_by(**values)).scalar_one())

    def begin(self, info: RunInfo, scope: int, holder: str) -> int:
        """Record that a run begins and return its number. ``holder``: the process, for people.

        From now on no other run can write an intent.
        """
        self.epoch = secrets.token_hex(16)
        return self._begin(info, scope, holder)

    @retried
    def _begin(self, info: RunInfo, scope: int, holder: str) -> int:
        run, started_at = schema.run, to_text(info.started_at)
        values = {"run_id": info.run_id, "scope_id": scope, "holder": holder, "started_at": started_at}
        new = self.insert(run).values(values | run_values(info)).on_conflict_do_nothing()
        with self.writing() as db:
            db.execute(new)
            self._begin_epoch(db)
            query = select(run.c.no).filter_by(run_id=info.run_id, holder=holder, started_at=started_at)
            return int(db.execute(query).scalar_one())

    @retried
    def take_up(self) -> None:
        """Reopen a run that had ended: no other run can write an intent from now on."""
        self.epoch = secrets.token_hex(16)
        with self.writing() as db:
            self._begin_epoch(db)

    def _begin_epoch(self, db: Connection) -> None:
        new = self.insert(schema.meta).values(key="epoch", value=self.epoch)
        db.execute(new.on_conflict_do_update(index_elements=["key"], set_={"value": new.excluded.value}))

    @retried
    def amend(self, info: RunInfo) -> None:
        """Record what has become of a run."""
        with self.writing() as db:
            db.execute(schema.run.update().filter_by(run_id=info.run_id).values(run_values(info)))

    @retried
    def discard(self, run_no: int) -> None:
        """Forget a run that was refused before anything was done."""
        with self.writing() as db:
            self._forget_entries(db, run_no)
            for table in (schema.block, schema.claim, schema.leader):
                db.execute(table.delete().filter_by(run_no=run_no))
            db.execute(schema.run.delete().filter_by(no=run_no))

    @retried
    def find(self, run_id: str | None) -> tuple[int, RunInfo] | None:
        """Return a run by its id, or the latest one; None if there is none."""
        run = schema.run
        query = select(run.c.no, run.c.details)
        query = query.filter(run.c.run_id == run_id) if run_id else query.order_by(run.c.no.desc()).limit(1)
        with self.reading() as db:
            row = db.execute(query).one_or_none()
        return (row.no, run_info(row.details)) if row else None

    @retried
    def holder(self) -> str:
        """Return the process of the latest run that has not ended, and since when it runs."""
        run = schema.run
        query = select(run.c.holder, run.c.started_at).filter(run.c.finished_at.is_(None))
        with self.reading() as db:
            row = db.execute(query.order_by(run.c.no.desc()).limit(1)).one_or_none()
        return f"{row.holder} since {row.started_at}" if row else "another process"

    # --- what the input held ------------------------------------------------------------------------

    @retried
    def add_block(self, run_no: int, seq: int, first_row: int, last_row: int, data: bytes) -> None:
        """Store some rows of a run's input (see the workspace), in place of an older block of this number."""
        values = {"run_no": run_no, "seq": seq, "first_row": first_row, "last_row": last_row, "data": data}
        insert = self.insert(schema.block).values(values)
        with self.writing() as db:
            db.execute(insert.on_conflict_do_update(index_elements=["run_no", "seq"], set_={"data": data}))

    @retried
    def prune(self, most: int = MOST_OF_BLOCKS) -> None:
        """Forget the input of the oldest runs, so that ``most`` bytes are kept, but never the latest input.

        What was done with each row of any run is never forgotten.
        """
        run_no, size = schema.block.c.run_no, func.sum(func.length(schema.block.c.data))
        sizes, total = select(run_no, size).group_by(run_no).order_by(run_no.desc()), 0
        with self.writing() as db:
            for position, (number, size_of_run) in enumerate(db.execute(sizes).all()):
                total += size_of_run
                if position and total > most:
                    db.execute(schema.block.delete().filter_by(run_no=number))

    def blocks(self, run_no: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield first row, last row and content of each block of a run's input, in its order."""
        for seq in self._block_numbers(run_no):
            yield self._block(run_no, seq)

    @retried
    def _block_numbers(self, run_no: int) -> Sequence[int]:
        with self.reading() as db:
            query = select(schema.block.c.seq).filter_by(run_no=run_no).order_by(schema.block.c.seq)
            return db.execute(query).scalars().all()

    @retried
    def _block(self, run_no: int, seq: int) -> tuple[int, int, bytes]:
        block = schema.block.c
        with self.reading() as db:
            query = select(block.first_row, block.last_row, block.data).filter_by(run_no=run_no, seq=seq)
            return tuple(db.execute(query).one())

    # --- what is known of the growers ----------------------------------------------------------------

    @retried
    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, GrowerState]:
        """Return the current states of these growers; those without one are left out."""
        names = {state.uuid_bytes(user_id): user_id for user_id in leaf_user_ids if user_id}
        grower, result = schema.grower.c, dict[str, GrowerState]()
        columns = [grower.id if name == "leaf_user_id" else grower[name] for name in GrowerState._fields]
        with self.reading() as db:
            scopes = state.kin(db, scope)
            for ids in state.batches(list(names)):
                for line in db.execute(state.newest(scopes, *columns).where(grower.id.in_(ids))):
                    name, fingerprint = names[line.id], state.fingerprint_text(line.fingerprint)
                    result[name] = GrowerState._make(line)._replace(
                        leaf_user_id=name, fingerprint=fingerprint
                    )
        return result

    @retried
    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, tuple[Recorded, str, int]]:
        """Return what any run stored last for these growers: credentials, fingerprint and application."""
        names = {state.uuid_bytes(user_id): user_id for user_id in leaf_user_ids}
        grower, entry = schema.grower.c, schema.entry.c
        query = (
            select(grower.id, entry.credential_id, entry.credential_created, entry.fingerprint, entry.app)
            .select_from(schema.grower)
            .join(schema.entry, and_(entry.run_no == grower.created_run, entry.row == grower.created_row))
            .where(grower.scope_id == scope)
            .where(entry.status == Status.CREATED.value, entry.credential_id != "")
        )
        with self.reading() as db:
            return {
                names[key]: (Recorded(name, created), fingerprint, app)
                for ids in state.batches(list(names))
                for key, name, created, fingerprint, app in db.execute(query.where(grower.id.in_(ids)))
            }

    @retried
    def recorded_event(self, scope: int, leaf_user_id: str) -> RecordedEvent | None:
        """Return the newest event of the provider that any run saw for this grower, None without one."""
        grower, entry = schema.grower.c, schema.entry.c
        query = (
            select(entry.credential_id, entry.event_status, entry.event_at)
            .select_from(schema.grower)
            .join(schema.entry, and_(entry.run_no == grower.event_run, entry.row == grower.event_row))
            .where(grower.scope_id == scope, grower.id == state.uuid_bytes(leaf_user_id))
            .where(entry.event_status.is_not(None))
        )
        with self.reading() as db:
            row = db.execute(query).first()
        return RecordedEvent._make(row) if row else None

    @contextmanager
    def arrow(self, query: Select[Any]) -> Iterator[pa.RecordBatchReader]:
        """Yield the result of a query as Arrow batches. Raises LedgerError.

        Until it is read, nothing else can be asked of the ledger.
        """
        with self.reading() as db:
            text = str(query.compile(db, compile_kwargs={"literal_binds": True}))
        with self._database.arrow(text) as reader:
            yield reader

    @contextmanager
    def current(self, scope: int) -> Iterator[pa.RecordBatchReader]:
        """Yield the current states of all growers of a scope, with the columns of `state.SCHEMA`.

        Until they are read, nothing else can be asked of the ledger. Raises LedgerError.
        """
        with self.reading() as db:
            scopes = state.kin(db, scope)
        with self.arrow(state.current(scopes, scope)) as reader:
            batches = (state.typed(batch) for batch in reader if len(batch))
            yield pa.RecordBatchReader.from_batches(state.SCHEMA, batches)

    # --- what was done ------------------------------------------------------------------------------

    def write(
        self,
        run_no: int,
        scope: int,
        intents: Entries,
        outcomes: Entries,
        scopes: Scopes = _NOTHING,
        *,
        fence: Fence = no_fence,
    ) -> None:
        """Commit intents and outcomes in one transaction. An entry replaces the run's earlier one.

        ``scopes``: by name, the scopes of providers with entries that do not belong to ``scope``. ``fence``:
        called in the transaction before anything is written. Raises LedgerError if another run has begun.
        """
        intents = list(intents)
        entries = [(run_no, scopes.get(entry.provider, scope), entry) for entry in (*intents, *outcomes)]
        self._store(entries, fence, is_intent=bool(intents))

    @retried
    def _store(self, entries: Stored, fence: Fence, *, is_intent: bool) -> None:
        with self.intending(fence) if is_intent or fence is not no_fence else self.writing() as db:
            if entries:
                lines = [(run_no, scope, *entry[:-1]) for run_no, scope, entry in entries]
                db.exec_driver_sql(self._upsert_entry, lines)
            self._store_states(db, entries)

    def _store_states(self, db: Connection, entries: Stored) -> None:
        lines = [state.line(*entry) for entry in entries if entry[2].leaf_user_id]
        if lines:
            db.exec_driver_sql(self._upsert_state, lines)
            state.keep_events(db, lines)

    def _forget_entries(self, db: Connection, run_no: int) -> None:
        """Forget what a run found out, so that what is known of its growers is what earlier runs say."""
        entry, grower = schema.entry, schema.grower
        ids = select(entry.c.leaf_user_id).filter(entry.c.run_no == run_no, entry.c.leaf_user_id != "")
        growers = db.execute(ids).scalars().all()
        db.execute(entry.delete().filter_by(run_no=run_no))
        db.execute(grower.delete().filter_by(run_no=run_no))
        for some in state.batches(growers):
            query = select(entry).filter(entry.c.leaf_user_id.in_(some)).order_by(entry.c.run_no)
            self._store_states(db, [(line[0], line[1], Entry(*line[2:])) for line in db.execute(query)])

    def entries(self, run_no: int, first_row: int = 0, last_row: int = 1 << 62) -> list[Entry]:
        """A run's entries for these rows, both ends included, in row order."""
        return [Entry._make(line) for line in self.lines(run_no, first_row, last_row)]

    @retried
    def lines(self, run_no: int, first_row: int = 0, last_row: int = 1 << 62) -> Lines:
        """Return the same as plain tuples straight from the driver, in two thirds of the time."""
        with self.reading() as db:
            rows: Any = db.execute(_ENTRIES, {"run_no": run_no, "first": first_row, "last": last_row})
            return list(map(tuple, rows.cursor.fetchall()))

    def missing(self) -> LedgerError | None:
        """Return why nothing may rely on this ledger any more: its file was deleted or replaced."""
        return self._database.missing()

    # --- transactions -------------------------------------------------------------------------------

    @contextmanager
    def intending(self, fence: Fence = no_fence) -> Iterator[Connection]:
        """Context manager: a transaction for intents. Raises LedgerError if another run has begun since."""
        with self._database.locking() as db:
            if self.epoch is not None and db.execute(_EPOCH).scalar_one_or_none() != self.epoch:
                raise LedgerError(
                    f"another run has taken over the ledger {self._shown}: nothing more is sent; run the same"
                    " command again when that run has ended"
                )
            fence(db)
            yield db

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection to read from. Raises LedgerError inside."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a transaction, which is committed at the end of the block."""
        return self._database.writing()


@cache
def _run_info() -> TypeAdapter[RunInfo]:
    return TypeAdapter(RunInfo)


def run_info(details: str) -> RunInfo:
    """Return a run as its column ``details`` has it."""
    return _run_info().validate_json(details)


def run_values(info: RunInfo) -> dict[str, Any]:
    """Return the columns of a run that may change: what queries look for, and all of it as JSON."""
    return {
        "input": info.input,
        "kind": info.kind.value,
        "finished_at": to_text(info.finished_at) or None,
        "details": _run_info().dump_json(info).decode(),
    }
