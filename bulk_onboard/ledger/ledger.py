"""The ledger on disk: SQLAlchemy Core over SQLite. Synchronous; one may write while others read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, create_engine, event, func, inspect, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from bulk_onboard.entry import Entry
from bulk_onboard.errors import LedgerError, UsageError
from bulk_onboard.facts import Forecast, Kind, RunInfo
from bulk_onboard.fingerprint import Method
from bulk_onboard.growers import Growers, growers, nobody, pack, together, unpack
from bulk_onboard.ledger import schema
from bulk_onboard.ledger.statements import INTEND, NEWER, SETTLE, STORED
from bulk_onboard.model import Requests, Status, Traffic
from bulk_onboard.stamp import from_text, to_text

# A snapshot is made anew when it lacks more growers than this.
SNAPSHOT_LACKS = 5_000
BATCH = 10_000
# A million rows take some fifty million bytes a night.
MOST_OF_BLOCKS = 1 << 30

# All but the last field, which is stored as the scope.
_COLUMNS = (*(schema.entry.c[name] for name in STORED), schema.scope.c.provider)
Entries = Iterable[Entry]
Scopes = Mapping[str, int]
_NOTHING: Scopes = {}


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


class Ledger:
    """Everything that is remembered across runs. Every method commits before it returns."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises LedgerError if it cannot be used, or is of a newer version."""
        self._path = path
        with self._translated("opened"):
            _create_private(path)
            self._engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
            event.listen(self._engine, "connect", _prepare)
            schema.meta.create(self._engine, checkfirst=True)
            version = self._version()
            with self._engine.begin() as db:
                # All or nothing: a table that a kill left without its index would never get it.
                db.exec_driver_sql("BEGIN")
                _migrate(db, version)
                schema.metadata.create_all(db)
            self.method = Method(self._meta("fingerprint_method", Method.SIPHASH.value))
            self.key = bytes.fromhex(self._meta("fingerprint_key", secrets.token_hex(32)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._engine.dispose()

    # --- runs ---------------------------------------------------------------------------------------

    def scope(self, leaf: str, provider: str) -> int:
        """The number of one Leaf and one provider."""
        values = {"leaf": leaf, "provider": provider}
        with self._write() as db:
            db.execute(insert(schema.scope).values(values).on_conflict_do_nothing())
            return int(db.execute(select(schema.scope.c.id).filter_by(**values)).scalar_one())

    def begin(self, info: RunInfo, scope: int, holder: str) -> int:
        """Record that a run begins; its number. ``holder`` says which process it is, for people."""
        values = _run_values(info) | {"scope_id": scope, "holder": holder}
        with self._write() as db:
            db.execute(schema.run.insert().values(values))
            return int(db.execute(select(schema.run.c.no).filter_by(run_id=info.run_id)).scalar_one())

    def amend(self, info: RunInfo) -> None:
        """Record what has become of a run."""
        with self._write() as db:
            db.execute(schema.run.update().filter_by(run_id=info.run_id).values(_run_values(info)))

    def discard(self, run_no: int) -> None:
        """Forget a run that was refused before anything was done."""
        with self._write() as db:
            for table in (schema.entry, schema.block):
                db.execute(table.delete().filter_by(run_no=run_no))
            db.execute(schema.run.delete().filter_by(no=run_no))

    def find(self, run_id: str | None) -> tuple[int, RunInfo] | None:
        """A run by its id, or the latest one; None if there is none."""
        run, where = schema.run, schema.scope.c.id == schema.run.c.scope_id
        query = select(run, schema.scope.c.leaf, schema.scope.c.provider).join(schema.scope, where)
        query = query.filter(run.c.run_id == run_id) if run_id else query.order_by(run.c.no.desc()).limit(1)
        with self._read() as db:
            found = db.execute(query).mappings().one_or_none()
        return (found["no"], run_info(dict(found))) if found else None

    def holder(self) -> str:
        """Who began the latest run that has not ended, and when: for the one that found the ledger held."""
        run = schema.run
        query = select(run.c.holder, run.c.started_at).filter(run.c.finished_at.is_(None))
        with self._read() as db:
            found = db.execute(query.order_by(run.c.no.desc()).limit(1)).one_or_none()
        return f"{found.holder} since {found.started_at}" if found else "another process"

    # --- what the input held ------------------------------------------------------------------------

    def add_block(self, run_no: int, seq: int, first_row: int, last_row: int, data: bytes) -> None:
        """Keep one packed chunk of a run's input."""
        with self._write() as db:
            db.execute(
                schema.block.insert(),
                {"run_no": run_no, "seq": seq, "first_row": first_row, "last_row": last_row, "data": data},
            )

    def prune(self, most: int = MOST_OF_BLOCKS) -> None:
        """Forget what the input of the oldest runs held, so that no more than so many bytes are kept of it.

        The latest run's is always kept, and what was done with each row of any run is never forgotten.
        """
        block = schema.block
        sizes = select(block.c.run_no, func.sum(func.length(block.c.data)).label("size")).group_by(
            block.c.run_no
        )
        with self._write() as db:
            found = db.execute(sizes.order_by(block.c.run_no.desc())).all()
            total = found[0].size if found else 0
            for run_no, size in found[1:]:
                total += size
                if total > most:
                    db.execute(block.delete().filter_by(run_no=run_no))

    def blocks(self, run_no: int) -> Iterator[tuple[int, int, bytes]]:
        """First row, last row and content of each chunk, in input order."""
        block = schema.block
        seqs = select(block.c.seq).filter_by(run_no=run_no).order_by(block.c.seq)
        with self._read() as db:
            found = db.execute(seqs).scalars().all()
        query = select(block.c.first_row, block.c.last_row, block.c.data)
        for seq in found:
            with self._read() as db:
                first_row, last_row, data = db.execute(query.filter_by(run_no=run_no, seq=seq)).one()
            yield first_row, last_row, data

    def known(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, Known]:
        """What the newest entries say of these growers; those without an entry are left out."""
        entry = schema.entry
        wanted = func.json_each(json.dumps(list(leaf_user_ids))).table_valued("value")
        query = (
            select(*(entry.c[name] for name in Known._fields))
            .filter(entry.c.scope_id == scope, entry.c.leaf_user_id != "")
            .filter(entry.c.leaf_user_id.in_(select(wanted.c.value)))
            .order_by(entry.c.run_no)
        )
        with self._read() as db:
            return {found[0]: Known._make(found) for found in db.execute(query)}

    def stored(self, scope: int, leaf_user_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The credentials that were stored last for these growers by any run: their id and fingerprint."""
        entry = schema.entry
        wanted = func.json_each(json.dumps(list(leaf_user_ids))).table_valued("value")
        query = (
            select(entry.c.leaf_user_id, entry.c.credential_id, entry.c.fingerprint)
            .filter(entry.c.scope_id == scope, entry.c.leaf_user_id != "", entry.c.credential_id != "")
            .filter(entry.c.leaf_user_id.in_(select(wanted.c.value)), entry.c.status == Status.CREATED.value)
            .order_by(entry.c.run_no)
        )
        with self._read() as db:
            return {found[0]: (found[1], found[2]) for found in db.execute(query)}

    # --- what is known of everybody -----------------------------------------------------------------

    def growers(self, scope: int) -> Growers:
        """What the newest entries say of all growers that are done or may be."""
        run_no, known = self._snapshot(scope)
        return known.with_newer(self._newer(scope, run_no))

    def remember(self, scope: int) -> None:
        """Put what is known into a snapshot, if there is much that the last one lacks.

        It holds for all runs that have ended; `forget` it before one of them is amended.
        """
        with self._read() as db:
            last = select(schema.snapshot.c.run_no).filter_by(scope_id=scope)
            newer = self._newer(scope, db.execute(last).scalar_one_or_none() or 0)
        if len(newer) > SNAPSHOT_LACKS:
            _, known = self._snapshot(scope)
            data = pack(known.with_newer(newer))
            del newer, known  # the database's own copy of the data takes their place
            with self._write() as db:
                values = {"run_no": select(func.max(schema.run.c.no)).scalar_subquery(), "data": data}
                found = insert(schema.snapshot).values(scope_id=scope, **values)
                db.execute(found.on_conflict_do_update(index_elements=["scope_id"], set_=values))

    def forget(self, scope: int) -> None:
        """Drop the snapshot: an old run is about to be amended."""
        with self._write() as db:
            db.execute(schema.snapshot.delete().filter_by(scope_id=scope))

    def _snapshot(self, scope: int) -> tuple[int, Growers]:
        with self._read() as db:
            query = select(schema.snapshot.c.run_no, schema.snapshot.c.data).filter_by(scope_id=scope)
            found = db.execute(query).one_or_none()
        return (found.run_no, unpack(found.data)) if found else (0, nobody())

    def _newer(self, scope: int, run_no: int) -> Growers:
        """What the entries of later runs say. Whoever was to do again is said to be so."""
        with self._read() as db:
            found = db.connection.cursor()  # SQLAlchemy's own rows would take as long again
            found.execute(NEWER, (scope, run_no))
            parts = []
            while batch := found.fetchmany(BATCH):
                parts.append(growers(*zip(*batch, strict=True)))
        return together(parts)

    # --- what was done ------------------------------------------------------------------------------

    def write(
        self, run_no: int, scope: int, intents: Entries, outcomes: Entries, scopes: Scopes = _NOTHING
    ) -> None:
        """Commit intents and outcomes in one transaction. An entry replaces what the run had for its row.

        ``scopes``: of the providers whose entries do not belong to ``scope``, by name.
        """
        with self._write() as db:
            for sql, entries in ((INTEND, intents), (SETTLE, outcomes)):
                values = [(run_no, scopes.get(entry[-1], scope), *entry[:-1]) for entry in entries]
                if values:
                    db.exec_driver_sql(sql, values)

    def entries(self, run_no: int, first_row: int = 0, last_row: int = 1 << 62) -> list[Entry]:
        """A run's entries for these rows, both ends included, in row order."""
        entry = schema.entry
        query = select(*_COLUMNS).join(schema.scope, schema.scope.c.id == entry.c.scope_id)
        query = query.filter(entry.c.run_no == run_no, entry.c.row.between(first_row, last_row))
        with self._read() as db:
            return [Entry._make(found) for found in db.execute(query.order_by(entry.c.row))]

    # --- plumbing -----------------------------------------------------------------------------------

    def _meta(self, key: str, default: str) -> str:
        query = select(schema.meta.c.value).filter_by(key=key)
        with self._read() as db:
            found = db.execute(query).scalar_one_or_none()
        if found is not None:
            return str(found)  # whoever only looks need not wait for a run that writes
        with self._write() as db:
            db.execute(insert(schema.meta).values(key=key, value=default).on_conflict_do_nothing())
            return str(db.execute(query).scalar_one())

    def _version(self) -> int:
        """Of the format on disk. Raises LedgerError if it is newer than this program."""
        version = int(self._meta("version", str(schema.VERSION)))
        if version > schema.VERSION:
            raise LedgerError(
                f"the ledger {self._path} was written by a newer bulk-onboard (its format is {version},"
                f" this one knows {schema.VERSION}): upgrade bulk-onboard, nothing was changed"
            )
        return version

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._translated("read"), self._engine.connect() as db:
            yield db

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._translated("written"), self._engine.begin() as db:
            yield db

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from, for the other modules of the ledger. Raises LedgerError inside."""
        return self._read()

    def writing(self) -> AbstractContextManager[Connection]:
        """The same to write: what was done is committed at the end of the block."""
        return self._write()

    @contextmanager
    def _translated(self, done: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, ValueError, OverflowError) as error:
            # Not the error itself: SQLAlchemy's text repeats the parameters.
            cause = getattr(error, "orig", None) or (
                error if isinstance(error, OSError) else type(error).__name__
            )
            raise LedgerError(f"the ledger {self._path} cannot be {done}: {cause}") from None


def _create_private(path: Path) -> None:
    """SQLite gives its journal files the mode of the database, so the mode has to be right from the start."""
    if path.is_dir():
        raise UsageError(f"the ledger {path} is a folder; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _migrate(db: Connection, version: int) -> None:
    """Bring an older ledger up to date, in the caller's transaction."""
    made = inspect(db).has_table(schema.run.name)  # else a kill came between its version and its tables
    for older in range(version, schema.VERSION if made else version):
        for statement in schema.MIGRATIONS[older]:
            db.exec_driver_sql(statement)
    if version < schema.VERSION:
        db.execute(schema.meta.update().filter_by(key="version").values(value=str(schema.VERSION)))


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit is on the disk when it returns. NORMAL could lose an intent to a power cut, and an
    # intent that is lost is a POST that might be repeated.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA cache_size=-16384")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _run_values(info: RunInfo) -> dict[str, Any]:
    return {
        "run_id": info.run_id,
        "input": info.input,
        "owner": info.owner,
        "started_at": to_text(info.started_at),
        "finished_at": to_text(info.finished_at) or None,
        "rows": info.rows,
        "ceiling": info.ceiling,
        "requests": json.dumps(asdict(info.requests)),
        "kept": json.dumps(info.kept),
        "stop_reason": info.stop_reason,
        "interrupted": int(info.interrupted),
        "exit_code": info.exit_code,
        "kind": info.kind.value,
        "environments": json.dumps(dict(info.environments)),
        "traffic": json.dumps(asdict(info.traffic), separators=(",", ":")),
        "forecast": json.dumps(asdict(info.forecast)) if info.forecast else None,
        "plan": info.plan,
    }


def run_info(found: dict[str, Any]) -> RunInfo:
    """A run as its line in the database, with the columns of its scope, tells it."""
    started = from_text(found["started_at"])
    assert started is not None  # noqa: S101  (the column is NOT NULL)
    return RunInfo(
        run_id=found["run_id"],
        provider=found["provider"],
        input=found["input"],
        leaf=found["leaf"],
        owner=found["owner"],
        started_at=started,
        finished_at=from_text(found["finished_at"] or ""),
        rows=found["rows"],
        ceiling=found["ceiling"],
        requests=Requests(**json.loads(found["requests"])),
        kept=tuple(json.loads(found["kept"])),
        stop_reason=found["stop_reason"],
        interrupted=bool(found["interrupted"]),
        exit_code=found["exit_code"],
        kind=Kind(found["kind"]),
        environments=json.loads(found["environments"]),
        traffic=_traffic(**json.loads(found["traffic"])),
        forecast=Forecast(**json.loads(found["forecast"])) if found["forecast"] else None,
        plan=found["plan"],
    )


def _traffic(width: int = 1, **series: list[Any]) -> Traffic:
    return Traffic(width, **{name: tuple(values) for name, values in series.items()})
