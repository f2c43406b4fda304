"""What the input held, packed for the ledger: one compressed block per chunk, no secret in it.

A million rows that are already done cost a few blocks, not a million database rows, and a report can be
written again without the input file.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from bulk_onboard.texts import HEX, SHORT, UUIDS, flat, only_value, repeated

# row: number in the file; status: "" for rows to do, "existing" for rows the ledger knew as done; app: the
# mark of the application, as the ledger recorded it where it knew the row as done.
COLUMNS = ("row", "leafUserId", "fingerprint", "status", "code", "message", "health", "credentialId", "app")
KEPT_PREFIX = "keep."
# Of rows that were done before: when their health was checked, in milliseconds since 1970, 0 for never.
CHECKED = "healthCheckedAt"
_NUMBERS = {"row", CHECKED}


# What a column was before it was packed, in its metadata: texts that are all one, or of a short form.
_SAME, _FORM = b"same", b"form"
_FORMS = {b"uuid": UUIDS, b"hex": HEX}


def pack(frame: pd.DataFrame) -> bytes:
    """Arrow IPC bytes of a frame with `COLUMNS` and any number of ``keep.…`` columns."""
    found = [_packed(str(name), frame[name]) for name in frame]
    table = pa.table([column for _, column in found], schema=pa.schema([field for field, _ in found]))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def unpack(block: bytes) -> pd.DataFrame:
    """The frame that was packed: ``row`` and `CHECKED` int64, all else text, "" for nothing."""
    table = pa.ipc.open_stream(block).read_all()
    columns = {field.name: _unpacked(field, table[field.name]) for field in table.schema}
    return pd.DataFrame(columns, copy=False)


def _packed(name: str, column: pd.Series) -> tuple[pa.Field, pa.Array]:
    if name in _NUMBERS:
        return pa.field(name, pa.int64()), pa.array(column, pa.int64())
    texts = flat(pa.array(column, pa.large_string(), from_pandas=True))
    only = None if texts.null_count else only_value(texts)
    if only is not None:
        return pa.field(name, pa.null(), metadata={_SAME: only}), pa.nulls(len(texts))
    for form, each in _FORMS.items():
        if (short := each.short(texts)) is not None:
            return pa.field(name, SHORT, metadata={_FORM: form}), short
    return pa.field(name, texts.type), texts


def _unpacked(field: pa.Field, column: pa.ChunkedArray) -> pd.Series:
    if field.name in _NUMBERS:
        return pd.Series(column.to_numpy())
    told = field.metadata or {}
    if _SAME in told:
        texts = repeated(told[_SAME].decode(), len(column))
    elif _FORM in told:
        texts = _FORMS[told[_FORM]].long(column.combine_chunks())
    else:
        texts = flat(column)
    return pd.Series(pd.array(texts, dtype="str"), copy=False)
