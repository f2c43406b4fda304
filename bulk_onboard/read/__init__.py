"""Files -> chunks of text: CSV and its kin, Parquet, workbooks, DataFrames.

    source = open_source("growers.xlsx", sheet="Growers")
    for chunk in source.chunks([0, 1]): ...

What a file is shows in its content, not in its name. Everything is text, as typed; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from bulk_onboard.chunk import Chunk, Source
from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.header import holds_data, no_header
from bulk_onboard.read.delimited import Delimited
from bulk_onboard.read.frame import Frame
from bulk_onboard.read.held import Held, hold_file, hold_standard_input
from bulk_onboard.read.kind import Kind, kind_of
from bulk_onboard.read.names import wanted_names
from bulk_onboard.where import scheme

__all__ = ["Chunk", "Source", "open_source"]


def open_source(
    where: str | Path | pd.DataFrame,
    *,
    sheet: str | None = None,
    stdin: BinaryIO | None = None,
    wanted: Collection[str] = (),
) -> Source:
    """Open a file, an address such as ``s3://…``, a DataFrame, or for ``-`` the CSV on standard input.

    ``wanted``: column names beside the fields' own that a header may have, as told by --map.
    Raises InputError, one line, if it cannot be used: what was found and what was expected; UsageError if
    an address is of no use, or needs an extra.
    """
    if isinstance(where, pd.DataFrame):
        return _with_rows(Frame(where))
    held = _held(where, stdin)
    try:
        return _with_rows(_opened(held, sheet, wanted_names(wanted)))
    except BaseException:
        held.close()
        raise


def _held(where: str | Path, stdin: BinaryIO | None) -> Held:
    if str(where) == "-":
        return hold_standard_input(stdin)
    if isinstance(where, str) and scheme(where) is not None:
        from bulk_onboard.read.remote import hold_remote  # noqa: PLC0415  (loaded when used)

        return hold_remote(where)
    return hold_file(where)


def _opened(held: Held, sheet: str | None, wanted: frozenset[str]) -> Source:
    kind = kind_of(held)
    if sheet is not None and kind is not Kind.WORKBOOK:
        raise InputError(f"{held.name} has no sheets, so --sheet {sheet} cannot be found")
    match kind:
        case Kind.WORKBOOK:
            from bulk_onboard.read.workbook import Workbook  # noqa: PLC0415  (loaded when used)

            return Workbook(held, sheet, wanted)
        case Kind.PARQUET:
            from bulk_onboard.read.parquet import Parquet  # noqa: PLC0415

            return Parquet(held)
        case Kind.DELIMITED:
            return Delimited(held, wanted)


def _with_rows(source: Source) -> Source:
    if next(source.chunks([], 1), None) is None:
        if holds_data(source.header):
            raise InputError(no_header(source.name))
        raise NoRows(f"{source.name} has a header but no rows below it")
    return source
