"""Checked rows of the input for `Workspace.load_rows`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.model import Status
from bulk_onboard.validation.cells import to_arrow, uuid_words
from bulk_onboard.validation.check import KEPT_PREFIX, Checked
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER
from bulk_onboard.validation.spelling import UUID_PATTERN
from bulk_onboard.workspace.workspace import KEPT_COLUMN


def rows_table(checked: Checked, apps: np.ndarray, kept: Sequence[str] = ()) -> pa.Table:
    """Return the rows of a checked chunk for `Workspace.load_rows`.

    ``apps``: the mark of each row's application (uint64). ``kept``: headers of columns that the results keep.
    """
    valid, frame = checked.valid, checked.frame
    at = pa.array(np.cumsum(valid) - 1, mask=~valid)
    columns = {
        "row": pa.array(frame["row"]),
        "provider": pa.array(frame[PROVIDER]),
        "id": pa.ExtensionArray.from_storage(pa.uuid(), _grower_ids(checked)),
        "fingerprint": _blobs(checked.prints).take(at),
        "app": pa.array(apps.view(np.int64)),
    }
    if checked.digests is not checked.prints:
        columns["content"] = _blobs(checked.digests).take(at)
    if checked.users is not None:
        columns["unresolved"] = pa.array(checked.users.unresolved)
    if not valid.all():
        columns["leaf_user_id"] = pc.if_else(pa.array(valid), "", pa.array(frame[LEAF_USER_ID]))
        columns["status"] = pc.if_else(pa.array(valid), "", Status.INVALID.value)
        columns |= {name: pa.array(frame[name]) for name in ("code", "message")}
    for position, name in enumerate(kept):
        columns[f"{KEPT_COLUMN}{position}"] = pa.array(frame[KEPT_PREFIX + name])
    return pa.table(columns)


def _blobs(words: np.ndarray) -> pa.Array:
    """Rows x 2 numbers (uint64) as 16 bytes each."""
    return pa.Array.from_buffers(pa.binary(16), len(words), [None, pa.py_buffer(np.ascontiguousarray(words))])


def _grower_ids(checked: Checked) -> pa.Array:
    """Return the id of every row as 16 bytes, NULL if it is not a UUID.

    Rows that are invalid for another reason keep theirs: the ages of such rows are those of their grower.
    """
    valid = checked.valid
    words = np.zeros((len(valid), 2), np.uint64)
    words[valid] = checked.ids
    texts = checked.frame[LEAF_USER_ID][~valid]
    is_uuid = texts.str.fullmatch(UUID_PATTERN).to_numpy(bool)
    others = uuid_words(to_arrow(texts[is_uuid]))
    assert others is not None  # noqa: S101  (the pattern is that of a UUID)
    named = np.flatnonzero(~valid)[is_uuid]
    words[named] = others
    is_missing = ~valid
    is_missing[named] = False
    return pc.if_else(pa.array(is_missing), None, _blobs(words))
