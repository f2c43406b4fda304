"""What the input held, packed for the ledger: one compressed block per chunk, no secret in it.

A million rows that are already done cost a few blocks, not a million database rows, and a report can be
written again without the input file.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

# row: number in the file; status: "" for rows to do, "existing" for rows the ledger knew as done.
COLUMNS = ("row", "leafUserId", "fingerprint", "status", "code", "message", "health", "credentialId")
KEPT_PREFIX = "keep."


def pack(frame: pd.DataFrame) -> bytes:
    """Arrow IPC bytes of a frame with `COLUMNS` and any number of ``keep.…`` columns."""
    # One thread: a pool of them for each chunk would cost more than it gains.
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def unpack(block: bytes) -> pd.DataFrame:
    """The frame that was packed: ``row`` int64, all else text, "" for nothing."""
    return pa.ipc.open_stream(block).read_all().to_pandas()  # type: ignore[no-any-return]
