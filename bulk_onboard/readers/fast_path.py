"""Lines of CSV that are a row each, read by Arrow: several times as fast as `csv`, and the same result.

Quotes must be tidy: one opens a cell, at its beginning, and the next one closes it, at its end; inside they
are doubled. Anything else that is not plain, such as a line break within quotes, a row of another length or a
blank one, is left to `csv`.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from bulk_onboard.readers.decode import count_lines

_LARGEST = 1 << 28
_QUOTE = ord('"')


def is_tidy(data: bytes, delimiter: str) -> bool:
    """Return whether all quotes of whole lines are tidy, so that no record goes on in what follows."""
    if b'"' not in data:
        return True
    if not delimiter.isascii():
        return False
    text = np.frombuffer(data, np.uint8)
    beside = np.isin(np.arange(256), [*b'\n\r"', ord(delimiter)])
    quotes = np.flatnonzero(text == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    before, after = opening[opening > 0] - 1, closing[closing + 1 < len(text)] + 1
    return len(quotes) % 2 == 0 and bool(beside[text[before]].all() and beside[text[after]].all())


def columns_of(data: bytes, delimiter: str, width: int, columns: Sequence[int]) -> list[pa.Array] | None:
    r"""Return these columns of tidy UTF-8 lines that end with ``\n``; None if the lines are not plain."""
    # Arrow would take a byte order mark off the first cell.
    if data.startswith(BOM_UTF8) or not delimiter.isascii() or not columns or len(data) > _LARGEST:
        return None
    names = [str(i) for i in range(width)]
    wanted = [names[i] for i in dict.fromkeys(columns)]
    try:
        table = csv.read_csv(
            pa.py_buffer(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if b'"' in data else False,
                escape_char=False,
                ignore_empty_lines=False,
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(wanted, pa.large_string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
                include_columns=wanted,
            ),
        )
    except pa.ArrowInvalid:
        return None
    # A lone \r ends a line too, so that there are more rows than lines; where a cell has a line break, fewer.
    if table.num_rows != count_lines(data) or _may_be_blank(table.column(names[columns[0]])):
        return None
    return [table.column(names[i]).combine_chunks() for i in columns]


def _may_be_blank(key: pa.ChunkedArray) -> bool:
    """Return whether a row may be blank: surely not if all begin with a letter or digit here."""
    firsts = pc.unique(pc.utf8_slice_codeunits(key, 0, 1)).to_pylist()
    return not all(first.isalnum() for first in firsts)
