"""What goes back to the owner of a file: it with its problems marked, or with its slips repaired."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bulk_onboard.errors import UsageError
from bulk_onboard.where import scheme

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.chunk import Chunk, Source
    from bulk_onboard.findings import Validation
    from bulk_onboard.workbook import Place

_MACROS = ".xlsm"
_AGAIN = "`bulk-onboard validate`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files asked for: ``annotate`` a workbook, ``fix`` a CSV."""

    annotate: Path | None = None
    fix: Path | None = None

    def require_new(self, file: str, others: tuple[Path, ...]) -> None:
        """Raises UsageError if a name is the input's, or another's, or says another form."""
        told = {"--annotate": (self.annotate, (".xlsx", _MACROS)), "--fix": (self.fix, (".csv",))}
        taken = {_same(other): str(other) for other in others}
        for each in _read(file):
            taken[_same(each)] = "the file that is read"
        for option, (path, endings) in told.items():
            if path is None:
                continue
            if path.suffix.lower() not in endings:
                raise UsageError(f"{option} {path}: the name has to end in {' or '.join(endings)}")
            if (other := taken.setdefault(_same(path), option)) != option:
                raise UsageError(
                    f"{option} {path}: that is {other}, which is never written over; name another"
                )


def _read(where: str) -> list[Path]:
    """The files of this machine that are read. Raises InputError if there are none of a pattern."""
    from bulk_onboard.readers.files import files_at  # noqa: PLC0415

    if where == "-" or scheme(where) is not None:
        return []
    return [Path(path) for path in files_at(where).paths]


def _same(path: Path) -> tuple[int, int] | str:
    """Equal for two names of one file, also where it is a link or does not exist yet."""
    with suppress(OSError, ValueError):
        found = path.stat()
        return found.st_dev, found.st_ino
    with suppress(OSError, ValueError, RuntimeError):  # a link to itself, a name that cannot be one
        return str(path.resolve())
    return str(path)


def annotated(source: Source, found: Validation, path: Path) -> list[str]:
    """Write the workbook; what of the original it does not have. Raises UsageError, OutputError."""
    from bulk_onboard.report.draft import drafts  # noqa: PLC0415
    from bulk_onboard.workbook import annotate  # noqa: PLC0415

    place = _place(source)
    macros = path.suffix.lower() == _MACROS
    if macros and not (place and _has_macros(place.file)):
        raise UsageError(f"--annotate {path}: {found.source} has no macros, so the name has to end in .xlsx")
    with drafts([path], _AGAIN) as (draft,), draft.writing():
        return annotate(draft.file, found, lambda: _lines(source), place, macros=macros)


def _place(source: Source) -> Place | None:
    from bulk_onboard.readers.workbook import Workbook  # noqa: PLC0415
    from bulk_onboard.workbook import Place  # noqa: PLC0415

    if not isinstance(source, Workbook) or len(source.tables) > 1:
        return None
    return Place(source.bytes(), source.tables[0].sheet, source.header_row)


def _has_macros(file: BinaryIO) -> bool:
    import zipfile  # noqa: PLC0415

    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as packed:
        return "xl/vbaProject.bin" in packed.namelist()


def _lines(source: Source) -> Iterator[Chunk]:
    """All columns of all lines, also of those that are not rows."""
    return source.chunks(range(len(source.header)))


def _rows(source: Source, found: Validation) -> Iterator[Chunk]:
    """All columns of the rows."""
    skipped = [line.row for line in found.description.skipped_lines]
    return (chunk.without(skipped) for chunk in _lines(source))


def fixed(source: Source, found: Validation, path: Path) -> pd.DataFrame:
    """Write the repaired CSV; a line per repair. Raises OutputError."""
    from bulk_onboard import repair  # noqa: PLC0415
    from bulk_onboard.report.draft import drafts  # noqa: PLC0415

    with drafts([path], _AGAIN) as (draft,):
        work = repair.Repair(found, _rows(source, found))
        header, entries = work.header()
        with draft.writing():
            draft.file.write(_csv([header]))
        for chunk in _rows(source, found):
            done = work.chunk(chunk)
            entries += done.repairs
            with draft.writing():
                draft.file.write(_csv(done.lines))
    return repair.table(entries)


def _csv(lines: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
