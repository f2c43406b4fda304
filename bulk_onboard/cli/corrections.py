"""Copies of a file for its owner: one with the problems marked, one with the certain repairs made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulk_onboard.domain.input_description import url_scheme
from bulk_onboard.errors import UsageError
from bulk_onboard.settings.command_line import check_and_run

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.domain.chunk import Source
    from bulk_onboard.settings import Settings
    from bulk_onboard.validation.findings import Validation
    from bulk_onboard.workbook import Annotated

_MACROS = ".xlsm"
_AGAIN = "`bulk-onboard validate`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The copies to write: ``annotate`` is a workbook, ``fix`` a CSV file; None means not requested."""

    annotate: Path | None = None
    fix: Path | None = None

    def require_new(self, file: str, others: tuple[Path, ...]) -> None:
        """Raises UsageError if a name is that of the input or of another output, or has the wrong ending."""
        targets = {"--annotate": (self.annotate, (".xlsx", _MACROS)), "--fix": (self.fix, (".csv",))}
        taken = {_same(other): str(other) for other in others}
        for source in _read(file):
            taken[_same(source)] = "the file that is read"
        for option, (path, endings) in targets.items():
            if path is None:
                continue
            if path.suffix.lower() not in endings:
                raise UsageError(f"{option} {path}: the name has to end in {' or '.join(endings)}")
            if (other := taken.setdefault(_same(path), option)) != option:
                raise UsageError(
                    f"{option} {path}: this is {other}, which is never overwritten; choose another name"
                )


def _read(where: str) -> list[Path]:
    """Return the local files that are read. Raises InputError if no file matches a pattern."""
    from bulk_onboard.readers.files import files_at  # noqa: PLC0415

    if where == "-" or url_scheme(where) is not None:
        return []
    return [Path(path) for path in files_at(where).paths]


def _same(path: Path) -> tuple[int, int] | str:
    """Return a key that is equal for two names of the same file, including links and new files."""
    with suppress(OSError, ValueError):
        status = path.stat()
        return status.st_dev, status.st_ino
    with suppress(OSError, ValueError, RuntimeError):  # a link to itself, a name that cannot be one
        return str(path.resolve())
    return str(path)


def annotated(source: Source, validation: Validation, path: Path, settings: Settings) -> Annotated:
    """Write the annotated workbook. Raises UsageError, OutputError."""
    from bulk_onboard.engine.corrected_files import has_macros, write_marked  # noqa: PLC0415
    from bulk_onboard.reports.draft import drafts  # noqa: PLC0415

    macros = path.suffix.lower() == _MACROS
    if macros and not has_macros(source):
        raise UsageError(
            f"--annotate {path}: {validation.source} has no macros, so the name has to end in .xlsx"
        )
    with drafts([path], _AGAIN) as (draft,), draft.writing():
        return write_marked(
            draft.file,
            source,
            validation,
            lambda own: check_and_run(str(path), _options(settings), same_form=own),
            macros=macros,
        )


def fixed(source: Source, validation: Validation, path: Path) -> pd.DataFrame:
    """Write the repaired CSV and a list of the repairs. Raises OutputError."""
    from bulk_onboard.engine.corrected_files import write_repaired  # noqa: PLC0415
    from bulk_onboard.reports.draft import drafts  # noqa: PLC0415

    with drafts([path], _AGAIN) as (draft,):

        def write(data: bytes) -> None:
            with draft.writing():
                draft.file.write(data)

        return write_repaired(write, source, validation)


def _options(settings: Settings) -> dict[str, object]:
    """Return the options that are needed to read a copy of the file."""
    given = settings.input
    return {
        "provider": settings.provider if settings.provider_given else None,
        "sheet": given.sheets,
        "header_row": given.header_row,
        "hidden": given.hidden,
        "map": given.mapping,
        "allow_shared_tokens": given.allow_shared_tokens,
        "create_users": given.create_users,
    }
