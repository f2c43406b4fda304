"""Workbooks (.xlsx .xlsm .xls .ods), one sheet of them, through calamine."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from bulk_onboard.chunk import CHUNK_ROWS, Chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.read.cell_errors import cell_errors
from bulk_onboard.read.columns import make_chunk, plain
from bulk_onboard.read.extent import beyond
from bulk_onboard.read.held import Held
from bulk_onboard.readers.header_row import LOOKED_AT, header_row, is_blank, matches, spelled, wanted_names

T = TypeVar("T")
Errors = Mapping[tuple[int, int], str]

_STANDARD_ERROR = 2

# Rows looked at for the header; blank ones among them do not count towards the twenty.
_TOP = 10 * LOOKED_AT


class Workbook:
    """A source of one sheet. The workbook is in memory as a whole, for no part of it stands alone."""

    def __init__(self, held: Held, options: ReadOptions) -> None:
        """Raises InputError if it is damaged or encrypted, or has no such sheet or nothing in it."""
        self._held, wanted = held, wanted_names(options.mapped)
        book = _calling(held.name, lambda: CalamineWorkbook.from_filelike(held.reader()))
        with book:
            names = _candidates(held.name, book, options.sheets[0] if options.sheets else None)
            self._sheet, others = _choose(held, book, names, wanted)
        # calamine turns #REF! and its like into empty cells, which would then be called missing.
        self._errors: Errors = cell_errors(held, self._sheet.name)
        self._left = (self._sheet.start or (0, 0))[1]
        top = [row for row, _ in islice(self._rows(), _TOP)]
        at = header_row(top, wanted)
        if at is None:
            raise InputError(f"{held.name}: sheet {self._sheet.name!r} is empty")
        self._header_at, self._header, self._others = at, spelled(top[at]), others

    @property
    def name(self) -> str:
        """The file's name."""
        return self._held.name

    @property
    def description(self) -> InputDescription:
        """The sheet that is read, its header row, and other sheets with a header."""
        return InputDescription(
            self.name,
            "workbook",
            sheets=(self.sheet,),
            unread_sheets=tuple(self._others),
            header_row=self.header_row,
        )

    @property
    def header(self) -> tuple[str, ...]:
        """The column headers."""
        return self._header

    @property
    def sheet(self) -> str:
        """The name of the sheet that is read."""
        return self._sheet.name

    @property
    def header_row(self) -> int:
        """The row of the header, as a spreadsheet shows it."""
        return self._header_at + 1

    def bytes(self) -> io.BufferedReader:
        """The workbook as it is stored, from the start."""
        return self._held.reader()

    def require_text(self, columns: Sequence[int]) -> None:
        """Cells are judged one by one: most of a column may be text."""

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows below the header, without the blank ones.

        Cells beyond the header are no fault: people write notes beside a table.
        """
        below = enumerate(islice(self._rows(), self._header_at + 1, None), self._header_at + 2)
        filled = ((number, row, other) for number, (row, other) in below if not is_blank(row))
        while taken := list(islice(filled, size)):
            numbers = np.array([number for number, _, _ in taken], np.int64)
            texts = [[row[i] if i < len(row) else "" for _, row, _ in taken] for i in columns]
            not_text = np.array([[i in other for i in columns] for _, _, other in taken], bool)
            yield make_chunk(numbers, texts, not_text=not_text.reshape(len(taken), len(columns)))

    def changed(self) -> bool:
        """Whether the file has been written to."""
        return self._held.changed()

    def close(self) -> None:
        """Let go of the file."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _rows(self) -> Iterator[tuple[list[str], frozenset[int]]]:
        """Every row from the first of the sheet: its texts from column A on, and which were not text."""
        faults: dict[int, list[tuple[int, str]]] = {}
        for (row, column), error in self._errors.items():
            faults.setdefault(row, []).append((column, error))
        padding = [""] * self._left
        for number, cells in enumerate(_calling(self.name, self._sheet.iter_rows)):
            pairs = [plain(value) for value in cells]
            texts = padding + [text for text, _ in pairs]
            other = frozenset(i for i, (_, is_other) in enumerate(pairs, self._left) if is_other)
            for column, error in faults.get(number, ()):
                texts += [""] * (column + 1 - len(texts))
                texts[column] = texts[column] or error
            yield texts, other


def _calling(name: str, call: Callable[[], T]) -> T:
    """Call calamine. Raises InputError for whatever it finds wrong with the file."""
    try:
        with _no_panic_shown():
            return call()
    except PasswordError:
        raise InputError(f"{name} is encrypted; save the workbook without a password") from None
    except (CalamineError, OSError, ValueError) as error:
        text = " ".join(str(error).split())[:120]
        raise InputError(f"{name} is damaged, or no workbook that can be read ({text})") from None
    except BaseException as error:
        # A panic in calamine is no Exception, so that nobody takes it for one by accident.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{name} is damaged, or no workbook that can be read") from None


@contextmanager
def _no_panic_shown() -> Iterator[None]:
    """A panic in calamine writes a stack trace to the process's standard error before it can be caught."""
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), _STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(kept)


def _candidates(name: str, book: CalamineWorkbook, sheet: str | None) -> list[str]:
    """The sheets to look at: the one asked for, else the visible ones in order."""
    tables = [m for m in book.sheets_metadata if m.typ == SheetTypeEnum.WorkSheet]
    visible = [m.name for m in tables if m.visible == SheetVisibleEnum.Visible]
    if sheet is None:
        if visible:
            return visible
        raise InputError(f"{name} has no visible sheet; name a hidden one with --sheet")
    names = [m.name for m in tables]
    folded = [n for n in names if n.strip().casefold() == sheet.strip().casefold()]
    if sheet in names:
        return [sheet]
    if len(folded) == 1:
        return folded
    raise InputError(f"{name} has no sheet {sheet!r}; it has {', '.join(map(repr, visible)) or 'none'}")


def _choose(
    held: Held, book: CalamineWorkbook, names: list[str], wanted: frozenset[str]
) -> tuple[CalamineSheet, list[str]]:
    """The first sheet with a header that is known, else the first with anything; and who else has one."""
    known: list[CalamineSheet] = []
    filled: list[CalamineSheet] = []
    name = held.name
    for one in names:
        if corner := beyond(held, one):
            raise InputError(
                f"{name}: sheet {one!r} has something as far away as {corner}; delete it, or choose another"
                " sheet with --sheet"
            )
        sheet = _calling(name, lambda one=one: book.get_sheet_by_name(one))  # type: ignore[misc]
        top = [[plain(value)[0] for value in row] for row in _top(name, sheet)]
        if any(matches(row, wanted) for row in top):
            known.append(sheet)
        elif not all(map(is_blank, top)):
            filled.append(sheet)
    if not known and not filled:
        listed = ", ".join(map(repr, names))
        raise InputError(f"{name} has nothing in {listed}; expected a header and rows")
    return (known or filled)[0], [sheet.name for sheet in known[1:]]


def _top(name: str, sheet: CalamineSheet) -> list[list[Any]]:
    return _calling(name, lambda: list(islice(sheet.iter_rows(), _TOP)))
