"""Rows of a worksheet in any format: texts, kinds of cells, and what the owner did to the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bulk_onboard.domain.chunk import CellKind

# The largest sheet of Excel and of LibreOffice's usual settings.
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384


class DamagedWorkbook(Exception):  # noqa: N818  (it becomes an InputError that names the file)
    """The workbook contradicts its format; ``str()`` says how."""


class EncryptedWorkbook(Exception):  # noqa: N818
    """The workbook needs a password."""


@dataclass(slots=True)
class SheetRow:
    """One row of a worksheet.

    ``number``: as a spreadsheet shows it; ``texts``: from column A on; ``kinds``: by position, of cells
    that are not text; ``hidden``: by a filter, a collapsed group or by hand; ``struck``: some of its text is
    struck through; ``zeros``: how many of its ``filled`` cells are formulas with the result 0 or "".
    """

    number: int
    hidden: bool = False
    struck: bool = False
    texts: list[str] = field(default_factory=list)
    kinds: dict[int, CellKind] = field(default_factory=dict)
    filled: int = 0
    zeros: int = 0

    def put(self, column: int, text: str, kind: CellKind = CellKind.TEXT, *, formula: bool = False) -> None:
        """Set a cell that has a value, a formula or an error. ``column``: from 0.

        Raises DamagedWorkbook if no sheet has such a column.
        """
        if not 0 <= column < LAST_COLUMN:
            raise DamagedWorkbook(f"a cell in column {column + 1}")
        missing = column - len(self.texts)
        if missing < 0:
            self.texts[column] = text
        else:
            self.texts += [""] * missing
            self.texts.append(text)
        if kind:
            self.kinds[column] = kind
        self.filled += 1
        if formula and (text == "0" if kind else not text):
            self.zeros += 1

    @property
    def blank(self) -> bool:
        """Whether no cell has a value, a formula or an error. Spaces alone are not a value."""
        return not self.filled or not (
            self.kinds or self.zeros or any(text and not text.isspace() for text in self.texts)
        )

    @property
    def formula_zeros(self) -> bool:
        """Whether every cell is a formula with the result 0 or "", as below a table of references."""
        return 0 < self.filled == self.zeros


class Book(Protocol):
    """An open workbook."""

    file_type: str

    @property
    def sheets(self) -> Sequence[tuple[str, bool]]:
        """The names of the worksheets in their order, and whether each is visible."""

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """The rows of a sheet that have cells, from the top."""

    def close(self) -> None:
        """Release the file."""
