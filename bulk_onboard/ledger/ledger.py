"""The ledger: SQLAlchemy Core over a database. Synchronous; one may write while others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from sqlalchemy import Connection, Select, Table, and_, func, select

from bulk_onboard.entry import Entry, RecordedEvent
from bulk_onboard.errors import LedgerError
from bulk_onboard.facts import RunInfo
from bulk_onboard.ledger import schema, state
from bulk_onboard.ledger.database import Database
from bulk_onboard.ledger.fence import Fence, begin_epoch, new_epoch, require_ours, unfenced
from bulk_onboard.ledger.lasting import Patience, lasting
from bulk_onboard.ledger.making import made
from bulk_onboard.ledger.run_line import run_info, run_values
from bulk_onboard.ledger.state import Known
from bulk_onboard.model import Recorded, Status
from bulk_onboard.settings import LedgerPlace

if TYPE_CHECKING:
    from bulk_onboard.ledger.database import Insert

# A million rows take some fifty million bytes a night.
MOST_OF_BLOCKS = 1 << 30
# There is no chunk with a higher number.
LAST = (1 << 31) - 1

Entries = Iterable[Entry]
# Each with the numbers of its run and its scope.
Stored = list[tuple[int, int, Entry]]
Lines = list[tuple[Any, ...]]
Scopes = Mapping[str, int]
_NOTHING: Scopes = {}


class Ledger:
    """Everything that is remembered across runs. Every method commits before it returns."""

    def __init__(
        self,
        place: LedgerPlace,
        *,
        make: bool = True,
        epoch: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Open or create. Raises LedgerError if it cannot be used, or is of a newer version; UsageError.

        Not to ``make`` one where there is none raises UsageError. ``epoch``: of a run that was begun
        elsewhere and is worked on here. ``patience``: how long a server is waited for.
        """
        self._shown, self.epoch, self.patience = str(place), epoch, patience or Patience()
        self._database = Database(place)
        self._dialect, self._engine = self._database.dialect, self._database.engine
        # As text: plain tuples go straight to the driver, since these run for every row.
        self._upsert_entry, self._upsert_state = (
            str(statement.compile(dialect=self._engine.dialect))
            for statement in (
                _upsert_entry(self.insert(schema.entry)),
                state.upsert(self.insert(schema.grower)),
            )
        )
        try:
            self._open(make)
        except BaseException:
            self._engine.dispose()
            raise

    @lasting
    def _open(self, make: bool) -> None:
        told = made(self._database, make=make)
        try:
            self.key = bytes.fromhex(told["fingerprint_key"])
            self._vector = bytes.fromhex(told["fingerprint_vector"])
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
        self._engine.dispose()

    # --- runs ---------------------------------------------------------------------------------------

    @lasting
    def scope(self, leaf: str, owner: str, provider: str) -> int:
        """Return the number of one Leaf, API owner and provider."""
        values = {"leaf": leaf, "owner": owner, "provider": provider}
        with self.writing() as db:
            db.execute(self.insert(schema.scope).values(values).on_conflict_do_nothing())
            return int(db.execute(select(schema.scope.c.id).filter_by(**values)).scalar_one())

    @lasting
    def begin(self, info: RunInfo, scope: int, holder: str) -> int:
        """Record that a run begins; its number. ``holder`` says which process it is, for people.

        From now on nobody else who began a run, or took one up again, can write an intent.
        """
        values = run_values(info) | {"scope_id": scope, "holder": holder}
        self.epoch, run = new_epoch(), schema.run
        with self.writing() as db:
            db.execute(self.insert(run).values(values).on_conflict_do_nothing())
            begin_epoch(self._dialect, db, self.epoch)
            query = select(run.c.no).filter_by(run_id=info.run_id, holder=holder)
            return int(db.execute(query.filter_by(started_at=values["started_at"])).scalar_one())

    @lasting
    def take_up(self) -> None:
        """A run that was is to be worked on again: nobody else can write an intent from now on."""
        self.epoch = new_epoch()
        with self.writing() as db:
            begin_epoch(self._dialect, db, self.epoch)

    @lasting
    def amend(self, info: RunInfo) -> None:
        """Record what has become of a run."""
        with self.writing() as db:
            db.execute(schema.run.update().filter_by(run_id=info.run_id).values(run_values(info)))

    @lasting
    def discard(self, run_no: int) -> None:
        """Forget a run that was refused before anything was done."""
        with self.writing() as db:
            self.forget_entries(db, run_no)
            for table in (schema.block, schema.claim, schema.slots):
                db.execute(table.delete().filter_by(run_no=run_no))
            db.execute(schema.run.delete().filter_by(no=run_no))

    @lasting
    def find(self, run_id: str | None) -> tuple[int, RunInfo] | None:
        """A run by its id, or the latest one; None if there is none."""
        run, scope, where = schema.run, schema.scope.c, schema.scope.c.id == schema.run.c.scope_id
        query = select(run, scope.leaf, scope.owner, scope.provider).join(schema.scope, where)
        query = query.filter(run.c.run_id == run_id) if run_id else query.order_by(run.c.no.desc()).limit(1)
        with self.reading() as db:
            found = db.execute(query).mappings().one_or_none()
        return (found["no"], run_info(dict(found))) if found else None

    @lasting
    def holder(self) -> str:
        """Who began the latest run that has not ended, and when: for the one that found the ledger held."""
        run = schema.run
        query = select(run.c.holder, run.c.started_at).filter(run.c.finished_at.is_(None))
        with self.reading() as db:
            found = db.execute(query.order_by(run.c.no.desc()).limit(1)).one_or_none()
        return f"{found.holder} since {found.started_at}" if found else "another process"

    # --- what the input held ------------------------------------------------------------------------

    @lasting
    def add_block(self, run_no: int, seq: int, first_row: int, last_row: int, data: bytes) -> None:
        """Keep one packed chunk of a run's input."""
        values = {"run_no": run_no, "seq": seq, "first_row": first_row, "last_row": last_row, "data": data}
        insert = self.insert(schema.block).values(values)
        with self.writing() as db:
            db.execute(insert.on_conflict_do_update(index_elements=["run_no", "seq"], set_={"data": data}))

    @lasting
    def prune(self, most: int = MOST_OF_BLOCKS) -> None:
        """Forget what the input of the oldest runs held, so that no more than so many bytes are kept of it.

        The latest run's is always kept, and what was done with each row of any run is never forgotten.
        """
        block = schema.block
        sizes = select(block.c.run_no, func.sum(func.length(block.c.data)).label("size")).group_by(
            block.c.run_no
        )
        with self.writing() as db:
            found = db.execute(sizes.order_by(block.c.run_no.desc())).all()
            total = found[0].size if found else 0
            for run_no, size in found[1:]:
                total += size
                if total > most:
                    db.execute(block.delete().filter_by(run_no=run_no))

    def blocks(self, run_no: int, first: int = 0, last: int = LAST) -> Iterator[tuple[int, int, bytes]]:
        """First row, last row and content of each chunk from number ``first`` to ``last``, in input order."""
        for seq in self._seqs(run_no, first, last):
            yield self._block(run_no, seq)

    @lasting
    def _seqs(self, run_no: int, first: int, last: int) -> Sequence[int]:
        block = schema.block
        seqs = select(block.c.seq).filter(block.c.run_no == run_no, block.c.seq.between(first, last))
        seqs = seqs.order_by(block.c.seq)
        with self.reading() as db:
            return db.execute(seqs).scalars().all()

    @lasting
    def _block(self, run_no: int, seq: int) -> tuple[int, int, bytes]:
        block = schema.block
        query = select(block.c.first_row, block.c.last_row, block.c.data)
        with self.reading() as db:
            first_row, last_row, data = db.execute(query.filter_by(run_no=run_no, seq=seq)).one()
        return first_row, last_row, data

    # --- what is known of the growers ----------------------------------------------------------------

    @lasting
    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, Known]:
        """Return the current states of these growers; those without one are left out."""
        names = {state.uuid_bytes(each): each for each in leaf_user_ids if each}
        grower, found = schema.grower.c, dict[str, Known]()
        columns = [grower.id if name == "leaf_user_id" else grower[name] for name in Known._fields]
        with self.reading() as db:
            scopes = state.kin(db, scope)
            for ids in state.batches(list(names)):
                for line in db.execute(state.newest(scopes, *columns).where(grower.id.in_(ids))):
                    name, fingerprint = names[line.id], state.fingerprint_text(line.fingerprint)
                    found[name] = Known._make(line)._replace(leaf_user_id=name, fingerprint=fingerprint)
        return found

    @lasting
    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, tuple[Recorded, str, int]]:
        """Return what any run stored last for these growers: credentials, fingerprint and application."""
        names = {state.uuid_bytes(each): each for each in leaf_user_ids}
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
                names[line.id]: (
                    Recorded(line.credential_id, line.credential_created),
                    line.fingerprint,
                    line.app,
                )
                for ids in state.batches(list(names))
                for line in db.execute(query.where(grower.id.in_(ids)))
            }

    @lasting
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
            found = db.execute(query).first()
        return RecordedEvent._make(found) if found else None

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
    def reading_current(self, scope: int) -> Iterator[pa.RecordBatchReader]:
        """Yield the current states of all growers of a scope, with the columns of `state.SCHEMA`."""
        with self.reading() as db:
            scopes = state.kin(db, scope)
        with self.arrow(state.current(scopes, scope, all_growers=True)) as reader:
            batches = (state.typed(batch) for batch in reader if len(batch))
            yield pa.RecordBatchReader.from_batches(state.SCHEMA, batches)

    @lasting
    def current(self, scope: int, among: Sequence[str] | None = None) -> pa.Table:
        """Return the current states of all growers of a scope, with the columns of `state.SCHEMA`.

        ``among``: only of these growers, without a look at all others.
        """
        if among is None:
            with self.reading_current(scope) as reader:
                return reader.read_all()
        wanted = list({state.uuid_bytes(each) for each in among})
        with self.reading() as db:
            query = state.current(state.kin(db, scope), scope)
            found = [
                tuple(line)
                for ids in state.batches(wanted)
                for line in db.execute(query.where(schema.grower.c.id.in_(ids)))
            ]
        columns = zip(*found, strict=True) if found else ([] for _ in state.SCHEMA)
        batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], state.SCHEMA.names)
        return pa.Table.from_batches([state.typed(batch)] if found else [], state.SCHEMA)

    # --- what was done ------------------------------------------------------------------------------

    def write(
        self,
        run_no: int,
        scope: int,
        intents: Entries,
        outcomes: Entries,
        scopes: Scopes = _NOTHING,
        *,
        fence: Fence = unfenced,
    ) -> None:
        """Commit intents and outcomes in one transaction. An entry replaces what the run had for its row.

        ``scopes``: of the providers whose entries do not belong to ``scope``, by name. ``fence``: called in
        the transaction before anything is written. Raises LedgerBusy if another run has begun since.
        """
        intents = list(intents)
        entries = [(run_no, scopes.get(each.provider, scope), each) for each in (*intents, *outcomes)]
        self._store(entries, fence, is_intent=bool(intents))

    @lasting
    def _store(self, entries: Stored, fence: Fence, *, is_intent: bool) -> None:
        with self.intending(fence) if is_intent or fence is not unfenced else self.writing() as db:
            if entries:
                lines = [(run_no, scope, *entry[:-1]) for run_no, scope, entry in entries]
                db.exec_driver_sql(self._upsert_entry, lines)
            self._store_states(db, entries)

    def _store_states(self, db: Connection, entries: Stored) -> None:
        lines = [state.line(*each) for each in entries if each[2].leaf_user_id]
        if lines:
            db.exec_driver_sql(self._upsert_state, lines)
            state.keep_events(db, lines)

    def forget_entries(self, db: Connection, run_no: int) -> None:
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

    @lasting
    def lines(self, run_no: int, first_row: int = 0, last_row: int = 1 << 62) -> Lines:
        """The same as plain tuples, in two thirds of the time."""
        with self.reading() as db:
            batches = self._dialect.entries(db, run_no, first_row, last_row)
            return [line for batch in batches for line in batch]

    def missing(self) -> LedgerError | None:
        """Return why nothing may rely on this ledger any more: its file was deleted or replaced."""
        return self._dialect.missing()

    # --- plumbing -----------------------------------------------------------------------------------

    def insert(self, table: Table) -> Insert:
        """An INSERT that can say what to do when the line is there already."""
        return self._dialect.insert(table)

    @contextmanager
    def intending(self, fence: Fence = unfenced) -> Iterator[Connection]:
        """The same as `writing`, for intents. Raises LedgerBusy if another run has begun since."""
        with self._database.guarded() as db:
            require_ours(db, self.epoch, self._shown)
            fence(db)
            yield db

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from. Raises LedgerError inside."""
        return self._database.reading()

    def guarding(self) -> AbstractContextManager[Connection]:
        """The same where what was read with a lock holds to the end of the block."""
        return self._database.guarded()

    def writing(self) -> AbstractContextManager[Connection]:
        """The same to write: what was done is committed at the end of the block."""
        return self._database.writing()


def _upsert_entry(insert: Any) -> Any:
    """Complete ``insert``: an entry replaces what the run had for its row."""
    replaced = {name: insert.excluded[name] for name in schema.entry.c.keys()[2:]}
    return insert.on_conflict_do_update(index_elements=["run_no", "row"], set_=replaced)
