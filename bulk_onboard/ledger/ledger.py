"""The ledger: SQLAlchemy Core over a database. Synchronous; one may write while others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sqlalchemy import Connection, Table, func, select, tuple_

from bulk_onboard.domain.api_owner import may_be_same_owner
from bulk_onboard.entry import Entry, RecordedEvent
from bulk_onboard.errors import LedgerError
from bulk_onboard.facts import RunInfo
from bulk_onboard.growers import GrowerColumns, Growers, growers, nobody, together
from bulk_onboard.ledger import schema, snapshot
from bulk_onboard.ledger.database import Database
from bulk_onboard.ledger.fence import Fence, begin_epoch, is_ours, new_epoch, require_ours, unfenced
from bulk_onboard.ledger.lasting import Patience, lasting
from bulk_onboard.ledger.making import made
from bulk_onboard.ledger.run_line import run_info, run_values
from bulk_onboard.ledger.statements import INTENT, LINE, OUTCOME, OUTCOME_OF_INTENT, states
from bulk_onboard.model import Recorded, Status
from bulk_onboard.settings import LedgerPlace

if TYPE_CHECKING:
    from bulk_onboard.ledger.database import Insert

# A snapshot is made anew when it lacks more growers than this.
SNAPSHOT_LACKS = 5_000
# A million rows take some fifty million bytes a night.
MOST_OF_BLOCKS = 1 << 30
# There is no chunk with a higher number.
LAST = (1 << 31) - 1

Entries = Iterable[Entry]
Lines = list[tuple[Any, ...]]
Scopes = Mapping[str, int]
_NOTHING: Scopes = {}
_of_row = itemgetter(LINE.index("run_no"), LINE.index("row"))
_whose = itemgetter(LINE.index("scope_id"), LINE.index("leaf_user_id"))


class Known(NamedTuple):
    """What the newest entry of a grower says. ``status`` None or ``unresolved``: ask before sending.

    ``deleting`` of a grower who is not connected: the id of credentials that were or may have been deleted.
    """

    leaf_user_id: str
    status: str | None
    code: str
    fingerprint: str
    credential_id: str
    health: str
    intended_at: str
    deleting: str
    deleting_created: str
    app: int


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
        # Whose the intents are that were committed here and have no outcome yet, by run and row.
        self._begun: dict[Any, Any] = {}
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
            for table in (schema.entry, schema.block, schema.claim, schema.member, schema.aside):
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
        with self.writing() as db:
            db.execute(self.insert(schema.block).values(values).on_conflict_do_nothing())

    @lasting
    def replace_block(self, run_no: int, first_row: int, data: bytes) -> None:
        """Keep this in the place of the chunk that begins with that row."""
        with self.writing() as db:
            db.execute(schema.block.update().filter_by(run_no=run_no, first_row=first_row).values(data=data))

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

    @lasting
    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, Known]:
        """What the newest entries say of these growers; those without an entry are left out."""
        with self.reading() as db:
            batches = self._dialect.of(db, ", ".join(Known._fields), kin(db, scope), leaf_user_ids)
            return {line[0]: Known._make(line) for batch in batches for line in batch}

    @lasting
    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, tuple[Recorded, str, int]]:
        """Return what any run stored last for these growers: credentials, fingerprint and application."""
        with self.reading() as db:
            columns = "leaf_user_id, credential_id, credential_created, fingerprint, app, status"
            batches = self._dialect.of(db, columns, [scope], leaf_user_ids)
            lines = (line for batch in batches for line in batch)
            return {
                grower: (Recorded(name, created_time), fingerprint, app)
                for grower, name, created_time, fingerprint, app, status in lines
                if name and status == Status.CREATED.value
            }

    @lasting
    def recorded_event(self, scope: int, leaf_user_id: str) -> RecordedEvent | None:
        """The newest event of the provider that any run saw for this grower; None if there is none."""
        entry = schema.entry
        query = select(entry.c.credential_id, entry.c.event_status, entry.c.event_at)
        query = query.filter(entry.c.scope_id == scope, entry.c.leaf_user_id == leaf_user_id)
        query = query.filter(entry.c.leaf_user_id != "", entry.c.event_status.is_not(None))
        with self.reading() as db:
            found = db.execute(query.order_by(entry.c.run_no.desc()).limit(1)).first()
        return RecordedEvent._make(found) if found else None

    # --- what is known of everybody -----------------------------------------------------------------

    @lasting
    def growers(self, scope: int, among: Sequence[str] | None = None) -> Growers:
        """What the newest entries say of all growers that are done or may be.

        ``among``: only of these growers, without a look at all others.
        """
        if among is not None:
            return nobody().with_newer(self._of(scope, among))
        with self.reading() as db:
            run_no, known = snapshot.stored(db, scope)
        return known.with_newer(together(self._newer(scope, run_no)))

    @lasting
    def remember(self, scope: int) -> None:
        """Put what is known into a snapshot, if there is much that the last one lacks.

        It holds for all runs that have ended; `forget` it before one of them is amended.
        """
        with self.reading() as db:
            run_no = snapshot.reaches(db, scope)
        newer = self._newer(scope, run_no)
        if sum(map(len, newer)) <= SNAPSHOT_LACKS:
            return
        with self._database.guarded() as db:
            # Another run may be under way, and what it does would be missing.
            if is_ours(db, self.epoch):
                snapshot.renew(db, scope, newer)

    @lasting
    def forget(self, scope: int) -> None:
        """Drop the snapshot: an old run is about to be amended."""
        with self.writing() as db:
            db.execute(schema.snapshot.delete().filter_by(scope_id=scope))

    def _newer(self, scope: int, run_no: int) -> list[Growers]:
        """What the entries of later runs say, the oldest first. Whoever was to do again is said to be so."""
        with self.reading() as db:
            batches = self._dialect.newer(db, states(scope), kin(db, scope), run_no)
            return [growers(GrowerColumns(*zip(*batch, strict=True))) for batch in batches]

    def _of(self, scope: int, leaf_user_ids: Sequence[str]) -> Growers:
        """What the entries of these growers say."""
        with self.reading() as db:
            batches = self._dialect.of(db, states(scope), kin(db, scope), leaf_user_ids)
            return together([growers(GrowerColumns(*zip(*batch, strict=True))) for batch in batches])

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
        begun, ended = (
            [(run_no, scopes.get(entry[-1], scope), *entry[:-1]) for entry in entries]
            for entries in (intents, outcomes)
        )
        self._store(begun, ended, fence)

    @lasting
    def _store(self, begun: Lines, ended: Lines, fence: Fence) -> None:
        with self.intending(fence) if begun or fence is not unfenced else self.writing() as db:
            if begun:
                self._dialect.upsert(db, INTENT, begun)
            if ended:
                known = all(self._begun.get(_of_row(line)) == _whose(line) for line in ended)
                self._dialect.upsert(db, OUTCOME_OF_INTENT if known else OUTCOME, ended)
        self._begun.update((_of_row(line), _whose(line)) for line in begun)
        for line in ended:
            self._begun.pop(_of_row(line), None)

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


def kin(db: Connection, scope: int) -> list[int]:
    """This scope, and those whose API owner may be the same: where a token does not state its owner."""
    table = schema.scope
    own = select(table.c.leaf, table.c.provider).filter_by(id=scope)
    query = select(table.c.id, table.c.owner).filter(tuple_(table.c.leaf, table.c.provider).in_(own))
    owners = {int(line.id): str(line.owner) for line in db.execute(query)}
    return [number for number, owner in owners.items() if may_be_same_owner(owner, owners[scope])]
