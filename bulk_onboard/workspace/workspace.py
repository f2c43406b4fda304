"""The workspace of one run: load the checked rows and what the ledger knows, then ask in SQL."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from importlib import resources
from itertools import product
from threading import RLock
from typing import Any, Self, TypeVar
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.model import Health, IfExists, Status
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.timestamps import to_text

Result = TypeVar("Result")
# Bytes; DuckDB moves what does not fit to its temporary folder.
MEMORY_LIMIT = 160 << 20
_MOST_DOUBLINGS = 5
# Rows of the input that the ledger stores as one block.
BLOCK_ROWS = 100_000
# The tables with the rows of the input, see tables.sql.
TABLES = ("input_rows", "outcomes", "done")
_ZSTD = pa.ipc.IpcWriteOptions(compression="zstd")
_OF_OUTCOMES = ("status", "code", "message", "leaf_user_id")
# Rows that are fetched at a time.
BATCH_ROWS = 50_000
# The kept columns in the table ``input_rows``: kept_0, kept_1, …
KEPT_COLUMN = "kept_"


class Workspace:
    """Tables of the rows of one run, in a database of their own. A context manager.

    ``kept``: the headers of the input columns that the results keep. They are the columns ``kept_0``, … of
    the table ``input_rows`` (see tables.sql). No table ever holds a secret.
    """

    def __init__(
        self,
        kept: Sequence[str] = (),
        providers: Iterable[str] = PROVIDERS,
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        """``providers``: of all rows, by name.

        ``memory_limit``: bytes that the tables take in memory before they go to a private folder.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="bulk-onboard-")
        self._memory_limit = memory_limit
        self._lock = RLock()  # a connection is not for several threads at a time
        self.db = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{memory_limit}B",
                "temp_directory": self._folder.name,
                "threads": 2,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "arrow_lossless_conversion": True,  # UUIDs as 16 bytes each
            },
        )
        for name, values in (("provider_name", providers), ("status", Status), ("health", Health)):
            texts = ", ".join("'{}'".format(value.replace("'", "''")) for value in ("", *values))
            self.db.execute(f"CREATE TYPE {name} AS ENUM ({texts})")
        self.db.execute(sql("tables"))
        self.kept: tuple[str, ...] = ()
        self.keep(kept)

    def keep(self, headers: Sequence[str]) -> None:
        """Add columns of the input that the results keep, before any row is loaded."""
        self.kept += tuple(headers)
        for table, column in product(("input_rows", "done"), self.kept_columns):
            self.db.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} VARCHAR DEFAULT ''")
        self.db.execute(sql("rows"))

    @property
    def kept_columns(self) -> list[str]:
        """The names of the kept columns in the table ``input_rows``, in the order of ``kept``."""
        return [f"{KEPT_COLUMN}{position}" for position in range(len(self.kept))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.db.close()
        self._folder.cleanup()

    # --- asking in general ----------------------------------------------------------------------------

    def execute(self, statement: str, **parameters: Any) -> None:
        """Execute a statement without a result; ``parameters`` are its ``$name`` values."""
        self._run(lambda: self.db.execute(statement, parameters or None))

    def query(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the result of a query."""
        return self._run(lambda: self.db.execute(query, parameters or None).fetchall())

    def count(self, query: str, **parameters: Any) -> int:
        """Return the single number that a query results in."""
        ((number,),) = self.query(query, **parameters)
        return int(number)

    def arrow(self, query: str, **parameters: Any) -> pa.Table:
        """Return the result of a query as an Arrow table."""
        return self._run(lambda: self.db.sql(query, params=parameters or None).to_arrow_table())

    def numbers(self, query: str, **parameters: Any) -> np.ndarray:
        """Return the only column of a query's result, of row numbers (int64)."""
        (column,) = self._run(lambda: self.db.execute(query, parameters or None).fetchnumpy()).values()
        return np.asarray(column, np.int64)

    def read(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """Return what ``work``, which may be repeated, returns for the database."""
        return self._run(lambda: work(self.db))

    def _run(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, repeated with more memory if it needs that: lists do not spill."""
        limit = self._memory_limit
        with self._lock:
            try:
                for _ in range(_MOST_DOUBLINGS):
                    with suppress(duckdb.OutOfMemoryException):
                        return work()
                    limit *= 2
                    self.db.execute(f"SET memory_limit = '{limit}B'")
                return work()
            finally:
                if limit != self._memory_limit:
                    with suppress(duckdb.OutOfMemoryException):  # what cannot be freed now stays allowed
                        self.db.execute(f"SET memory_limit = '{self._memory_limit}B'")

    @contextmanager
    def given(self, values: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        """Make an Arrow table known to queries as the table ``given``."""
        with self._lock:
            self.db.register("given", values)
            try:
                yield
            finally:
                self.db.unregister("given")

    # --- filling it -----------------------------------------------------------------------------------

    def load(self, table: str, values: pa.Table) -> None:
        """Add lines to a table. Columns that ``values`` does not have get their defaults."""
        names = ", ".join(values.schema.names)
        with self.given(values):
            self.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM given")  # noqa: S608

    def load_rows(self, values: pa.Table) -> None:
        """Add rows of the input, with the columns of the view ``rows``; those of an outcome are optional."""
        for name in {"fingerprint", "content"}.intersection(values.schema.names):
            values = values.set_column(values.schema.get_field_index(name), name, as_uuids(values[name]))
        if "status" in values.schema.names:
            names = [name for name in _OF_OUTCOMES if name in values.schema.names]
            ended = values.filter(pc.not_equal(values["status"], ""))
            self.load("outcomes", ended.select(["row", *names]))
            values = values.drop_columns(names)
        self.load("input_rows", values)

    def load_known(self, provider: str, growers: pa.RecordBatchReader | pa.Table) -> None:
        """Add the current states of a provider's growers, as the ledger returns them.

        Rows may be loaded by another thread meanwhile.
        """
        with closing(self.db.cursor()) as db:
            db.register("growers", growers)
            db.execute(sql("known"), {"provider": provider})

    def mark(self, rows: Sequence[int] | np.ndarray, outcome: tuple[str, str, str]) -> None:
        """Give those of these rows that are to do a status, code and message."""
        status, code, message = outcome
        with self.given(pa.table({"row": np.unique(np.asarray(rows, np.int64))})):
            self.execute(
                "INSERT INTO outcomes (row, status, code, message)"
                " SELECT row, $status, $code, $message FROM to_do SEMI JOIN given USING (row)",
                status=status,
                code=code,
                message=message,
            )

    def remove_rows_after(self, last: int) -> None:
        """Forget the rows with a higher number than ``last``."""
        for table in TABLES:
            self.execute(f"DELETE FROM {table} WHERE row > $last", last=last)  # noqa: S608

    def environments(self, marks: Mapping[str, int]) -> dict[str, int]:
        """Return how many valid rows are of each environment. ``marks``: the low half of ``app``, by name."""
        query = "SELECT count(*) FROM rows WHERE fingerprint IS NOT NULL AND app & 4294967295 = $mark"
        counts = {name: self.count(query, mark=mark) for name, mark in marks.items()}
        return {name: number for name, number in counts.items() if number}

    # --- deciding -------------------------------------------------------------------------------------

    def mark_repeats(self, *, allow_shared_tokens: bool) -> None:
        """Give duplicates, conflicting rows and shared tokens that are to do their status, code and message.

        It is repeated when ids become known: then some rows turn out to be of the same grower.
        """
        growers, tokens, outcomes = sql("repeats").split(";\n")
        self.execute(growers)
        self.execute(tokens, allow_shared_tokens=allow_shared_tokens)
        if self.count("SELECT count(*) FROM (FROM repeated_growers UNION ALL FROM repeated_tokens)"):
            self.execute(outcomes)

    def compare(self, if_exists: IfExists) -> None:
        """Give rows of already connected growers their status, code, health and credentials."""
        move, *rest = sql("compare").split(";\n")
        redo, refuse = if_exists in {IfExists.REPLACE, IfExists.OVERWRITE}, if_exists is IfExists.FAIL
        done = self.count("SELECT count(*) FROM done")
        self.execute(move, redo=redo, refuse=refuse)
        if self.count("SELECT count(*) FROM done") > done:
            for statement in rest:
                self.execute(statement)

    def met_before(self) -> pd.DataFrame:
        """Return rows to do of growers that the ledger knows: row, provider, leafUserId, fingerprint, app."""
        rows: pd.DataFrame = self.arrow(sql("met_before")).to_pandas()
        return rows

    def tokens_of_others(self) -> np.ndarray:
        """Return the rows with a token that an earlier run onboarded for another grower, ascending."""
        return self.numbers(sql("tokens_of_others"))

    def unhealthy(self) -> int:
        """Return how many rows that were done before were not healthy when they were last checked."""
        return self.count(
            "SELECT count(*) FROM rows WHERE status = 'existing' AND health != 'healthy'"
            " AND code NOT IN ('app-changed', 'environment-changed')"
        )

    def count_due(self, checked_before: datetime) -> int:
        """Return how many connected growers were healthy when last checked, before this time."""
        query = "SELECT count(*) FROM rows WHERE status = 'existing' AND health = 'healthy'"
        due = " AND health_checked_at < $before::TIMESTAMP_MS"
        return self.count(query + due, before=to_text(checked_before))

    def ranges(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last row number of every ``size`` numbers, in input order."""
        ((first, last),) = self.query("SELECT min(row), max(row) FROM rows")
        for start in range(first, last + 1, size) if last is not None else ():
            yield start, min(last, start + size - 1)

    def done_before(self, first_row: int, last_row: int, due: str | None) -> list[tuple[Any, ...]]:
        """Return rows that were done before this run, for the check of events; see done_before.sql.

        ``due``: the time before which a good check is too old, "" for none; None for all rows.
        """
        return self.query(sql("done_before"), first=first_row, last=last_row, due=due)

    def ids(self) -> pa.Array:
        """Return the leafUserIds of all rows as text, also of rows in which something else is wrong."""
        query = (
            "SELECT coalesce(id::VARCHAR, leaf_user_id) AS id FROM rows WHERE NOT unresolved"
            " AND (id IS NOT NULL OR regexp_full_match(leaf_user_id, $uuid))"
        )
        ids = self.arrow(query, uuid="[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")["id"]
        return ids.cast(pa.large_string()).combine_chunks()

    def findings(self) -> pd.DataFrame:
        """Return row, status, code and message of rows that passed the check, but do not go with others."""
        query = (
            "SELECT row, status, code, message FROM rows"
            " WHERE status != '' AND fingerprint IS NOT NULL ORDER BY row"
        )
        rows: pd.DataFrame = self.arrow(query).to_pandas()
        return rows

    def to_do(self) -> np.ndarray:
        """Return the numbers of the rows that are to do, ascending (int64)."""
        return self.numbers("SELECT row FROM to_do ORDER BY row")

    def growers(self, rows: np.ndarray) -> Iterator[tuple[str, str]]:
        """Yield provider and leafUserId of those of these rows (int64, ascending) that have one."""
        for start in range(0, len(rows), BATCH_ROWS):
            with self.given(pa.table({"row": rows[start : start + BATCH_ROWS]})):
                batch = self.query(
                    "SELECT provider, id::VARCHAR FROM rows JOIN given USING (row)"
                    " WHERE id IS NOT NULL ORDER BY row"
                )
            yield from batch

    def planned(self, plan: pa.Table) -> pa.Table:
        """Return what a plan (lines of the table ``plan``) says of each row to do; see planned.sql."""
        at = plan.schema.get_field_index("fingerprint")
        self.load("plan", plan.set_column(at, "fingerprint", as_uuids(plan["fingerprint"])))
        return self.arrow(sql("planned"))

    def new_growers(self) -> int:
        """Return how many growers of rows to do the ledger does not know in any state."""
        return self.count(
            "SELECT count(*) FROM (SELECT DISTINCT provider, id FROM to_do) AS wanted"
            " ANTI JOIN known USING (provider, id)"
        )

    def to_do_among(self, provider: str, growers: pa.RecordBatchReader) -> int:
        """Return how many rows to do are of these growers (current states, as the ledger returns them)."""
        with self.given(growers):  # can be read only once, so this is not for `execute`, which may repeat it
            self.db.execute(
                "CREATE OR REPLACE TEMP TABLE others AS"
                " SELECT id FROM given WHERE status IN ('created', 'existing')"
            )
        return self.count(
            "SELECT count(*) FROM to_do JOIN others USING (id) WHERE provider = $provider",
            provider=provider,
        )

    # --- rows without a leafUserId --------------------------------------------------------------------

    def resolve_users(self, known: pa.Table) -> None:
        """Give unresolved rows the ids of ``known`` Leaf users (key and id): by externalId, else by email."""
        with self.given(known):
            self.execute(
                "UPDATE input_rows AS rows SET id = given.id::UUID, unresolved = FALSE FROM user_keys"
                " JOIN given ON given.key = coalesce(user_keys.external, user_keys.email)"
                " WHERE rows.unresolved AND rows.row = user_keys.row"
            )

    def mark_user_conflicts(self) -> None:
        """Mark unresolved rows that contradict other rows about their Leaf user as invalid.

        Call it once, after `resolve_users` and before `mark_repeats`.
        """
        self.execute(sql("user_conflicts"))

    def unresolved_growers(self, rows: np.ndarray) -> dict[UUID, tuple[int, ...]]:
        """Return the unresolved growers of these rows (int64): stand-in -> all rows to do, ascending."""
        with self.given(pa.table({"row": rows})):
            result = self.query(
                "SELECT id, row FROM to_do SEMI JOIN (SELECT id FROM rows JOIN given USING (row)) USING (id)"
                " WHERE unresolved ORDER BY row"
            )
        growers: dict[UUID, tuple[int, ...]] = {}
        for stand_in, row in result:
            growers[stand_in] = (*growers.get(stand_in, ()), row)
        return growers

    def set_user_ids(self, ids: Mapping[UUID, str]) -> None:
        """Give all rows with these stand-ins the ids of their Leaf users."""
        stand_ins, users = pa.array(map(str, ids), pa.string()), pa.array(ids.values(), pa.string())
        with self.given(pa.table({"stand_in": stand_ins, "id": users})):
            self.execute(
                "UPDATE input_rows AS rows SET id = given.id::UUID, unresolved = FALSE FROM given"
                " WHERE rows.unresolved AND rows.fingerprint IS NOT NULL AND rows.id = given.stand_in::UUID"
            )

    def user_ids(self) -> dict[int, str]:
        """Return the leafUserIds of rows to do that may name their grower by an externalId or an email."""
        return dict(
            self.query(
                "SELECT row, id::VARCHAR FROM to_do SEMI JOIN user_keys USING (row) WHERE NOT unresolved"
            )
        )

    # --- what the ledger stores of the input -----------------------------------------------------------

    def blocks(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the rows and their outcomes as blocks: first row, last row, content.

        The content is a stream of Arrow for each of `TABLES`, one after the other.
        """
        for first, last in self.ranges(BLOCK_ROWS):
            sink = io.BytesIO()
            for table in TABLES:
                query = f"SELECT * FROM {table} WHERE row BETWEEN {first} AND {last}"  # noqa: S608
                values = self.arrow(query)
                with pa.ipc.new_stream(sink, values.schema, options=_ZSTD) as stream:
                    stream.write_table(values)
            yield first, last, sink.getvalue()

    def load_blocks(self, blocks: Iterable[bytes]) -> None:
        """Fill the tables with what `blocks` gave."""
        for block in blocks:
            source = pa.BufferReader(block)
            for table in TABLES:
                with pa.ipc.open_stream(source) as stream:
                    self.load(table, stream.read_all())


def as_uuids(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return 16 bytes each as UUIDs, which are faster for DuckDB than other bytes."""
    chunks = (chunk.cast(pa.binary(16)) for chunk in values.chunks)
    return pa.chunked_array([pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in chunks], pa.uuid())


def sql(name: str) -> str:
    """Return the SQL in the file ``name``.sql beside this module."""
    return resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
