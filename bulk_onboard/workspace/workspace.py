"""The workspace of one run: load the checked rows and what the ledger knows, then ask in SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa

from bulk_onboard.model import IfExists

# Bytes; DuckDB moves what does not fit to its temporary folder.
MEMORY_LIMIT = 200 << 20
# Rows of the input that the ledger stores as one Parquet file.
BLOCK_ROWS = 500_000
KEPT_PREFIX = "kept_"


class Workspace:
    """Tables of the rows of one run, in a database of their own. A context manager; not thread-safe.

    ``kept``: the headers of the input columns that the results keep. They are the columns ``kept_0``, … of
    the table ``rows`` (see tables.sql). No table ever holds a secret.
    """

    def __init__(self, kept: Sequence[str] = (), *, memory_limit: int = MEMORY_LIMIT) -> None:
        """``memory_limit``: bytes that the tables take in memory before they go to a private folder."""
        self._folder = tempfile.TemporaryDirectory(prefix="bulk-onboard-")
        self._db = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{memory_limit}B",
                "temp_directory": self._folder.name,
                "threads": 2,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            },
        )
        self._db.execute(sql("tables"))
        self.kept = tuple(kept)
        for column in self.kept_columns:
            self._db.execute(f"ALTER TABLE rows ADD COLUMN {column} VARCHAR DEFAULT ''")

    @property
    def kept_columns(self) -> list[str]:
        """The names of the kept columns in the table ``rows``, in the order of ``kept``."""
        return [f"{KEPT_PREFIX}{position}" for position in range(len(self.kept))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._db.close()
        self._folder.cleanup()

    def query(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the result of a query; ``parameters`` are its ``$name`` values."""
        return self._db.execute(query, parameters or None).fetchall()

    def arrow(self, query: str, **parameters: Any) -> pa.Table:
        """Return the result of a query as an Arrow table."""
        return self._db.execute(query, parameters or None).to_arrow_table()

    # --- filling it -----------------------------------------------------------------------------------

    def load(self, table: str, values: pa.Table | pa.RecordBatchReader) -> None:
        """Add lines to a table. Columns that ``values`` does not have get their defaults."""
        names = ", ".join(values.schema.names)
        self._db.register("new_values", values)
        self._db.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_values")  # noqa: S608
        self._db.unregister("new_values")

    # --- deciding -------------------------------------------------------------------------------------

    def mark_repeats(self, *, allow_shared_tokens: bool) -> None:
        """Give duplicates, conflicting rows and shared tokens that are to do their status, code and message.

        It is repeated when ids become known: then some rows turn out to be of the same grower.
        """
        self._db.execute(
            "UPDATE rows SET status = r.status, code = r.code, message = r.message"  # noqa: S608
            f" FROM ({sql('repeats')}) AS r WHERE rows.row = r.row",
            {"allow_shared_tokens": allow_shared_tokens},
        )

    def compare(self, if_exists: IfExists) -> None:
        """Give rows whose grower is connected already their status, code, health and credentials."""
        self._db.execute(
            "UPDATE rows SET status = 'existing', code = r.code, health = r.health, app = r.app,"  # noqa: S608
            " health_checked_at = r.health_checked_at, credential_id = r.credential_id"
            f" FROM ({sql('compare')}) AS r WHERE rows.row = r.row",
            {
                "redo": if_exists in {IfExists.REPLACE, IfExists.OVERWRITE},
                "refuse": if_exists is IfExists.FAIL,
            },
        )

    def to_do(self) -> np.ndarray:
        """Return the numbers of the rows that are to do, ascending (int64)."""
        found = self._db.execute("SELECT row FROM rows WHERE status = '' ORDER BY row").fetchnumpy()
        return np.asarray(found["row"], np.int64)

    # --- rows without a leafUserId --------------------------------------------------------------------

    def resolve_users(self) -> None:
        """Give unresolved rows whose Leaf user is in ``known_users`` its id: by externalId, else by email."""
        self._db.execute(
            "UPDATE rows SET id = known_users.id, unresolved = FALSE FROM user_keys"
            " JOIN known_users ON known_users.key = coalesce(user_keys.external, user_keys.email)"
            " WHERE rows.unresolved AND rows.row = user_keys.row"
        )

    def mark_user_conflicts(self) -> None:
        """Mark unresolved rows that contradict other rows about their Leaf user as invalid.

        Call it once, after `resolve_users` and before `mark_repeats`.
        """
        self._db.execute(
            "UPDATE rows SET status = 'invalid', code = 'conflicting-users', message = r.message"  # noqa: S608
            f" FROM ({sql('user_conflicts')}) AS r WHERE rows.row = r.row"
        )

    def unresolved_growers(self, rows: np.ndarray) -> dict[UUID, tuple[int, ...]]:
        """Return the unresolved growers of these rows (int64): stand-in -> all rows to do, ascending."""
        self._db.register("wanted", pa.table({"row": rows}))
        found = self.query(
            "SELECT list(row ORDER BY row), id FROM rows LEFT JOIN wanted USING (row)"
            " WHERE unresolved AND status = '' GROUP BY id HAVING bool_or(wanted.row IS NOT NULL)"
        )
        self._db.unregister("wanted")
        return {stand_in: tuple(its) for its, stand_in in found}

    def set_user_ids(self, ids: Mapping[UUID, str]) -> None:
        """Give all rows with these stand-ins the ids of their Leaf users."""
        columns = {
            "stand_in": pa.array(map(str, ids), pa.string()),
            "id": pa.array(ids.values(), pa.string()),
        }
        self._db.register("user_ids", pa.table(columns))
        self._db.execute(
            "UPDATE rows SET id = user_ids.id::UUID, unresolved = FALSE FROM user_ids"
            " WHERE rows.unresolved AND rows.fingerprint IS NOT NULL AND rows.id = user_ids.stand_in::UUID"
        )
        self._db.unregister("user_ids")

    # --- what the ledger stores of the input -----------------------------------------------------------

    def blocks(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the table ``rows`` as Parquet files of `BLOCK_ROWS` rows: first row, last row, content."""
        path = Path(self._folder.name, "block.parquet")
        ranges = self.query(
            "SELECT min(row), max(row) FROM"
            " (SELECT row, (row_number() OVER (ORDER BY row) - 1) // $size AS block FROM rows)"
            " GROUP BY block ORDER BY block",
            size=BLOCK_ROWS,
        )
        for first, last in ranges:
            self._db.execute(
                f"COPY (SELECT * EXCLUDE (content) FROM rows WHERE row BETWEEN {first} AND {last}"  # noqa: S608
                f" ORDER BY row) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
            )
            yield first, last, path.read_bytes()
            path.unlink()

    def load_blocks(self, blocks: Iterable[bytes]) -> None:
        """Fill the table ``rows`` with what `blocks` gave."""
        path = Path(self._folder.name, "block.parquet")
        for block in blocks:
            path.write_bytes(block)
            self._db.execute(f"INSERT INTO rows BY NAME SELECT * FROM '{path}'")  # noqa: S608
            path.unlink()


def sql(name: str) -> str:
    """Return the SQL in the file ``name``.sql beside this module."""
    return resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
