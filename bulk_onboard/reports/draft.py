"""Files that are complete or absent: written under another name, flushed to disk, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import duckdb

from bulk_onboard.errors import OutputError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class Draft:
    """A file that is written at ``place`` and then moved to ``path``. Only the user can read it."""

    def __init__(self, path: Path, again: str) -> None:
        self.path, self._again = path, again
        self.place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        self._may_be_there = False
        self.file: BinaryIO = BytesIO()

    def open(self) -> None:
        """Create the empty file. Raises OutputError."""
        with self.writing():
            make_folder(self.path.parent)
            self._may_be_there = True
            try:
                handle = os.open(self.place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
            except OSError:
                self._may_be_there = False
                raise
        self.file = os.fdopen(handle, "wb")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn errors inside the block into an OutputError about this file."""
        try:
            yield
        except (OSError, duckdb.IOException) as error:
            raise OutputError(
                f"{self.path} cannot be written: {_reason(error)};"
                f" once that is fixed, {self._again} writes it again"
            ) from error

    def seal(self) -> None:
        """Flush the file to disk. Raises OutputError."""
        with self.writing():
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def publish(self) -> None:
        """Move the file to its path, in place of an older one. Raises OutputError."""
        with self.writing():
            self.place.replace(self.path)

    def discard(self) -> None:
        """Remove an unpublished file."""
        try:
            self.file.close()
        except OSError:
            pass  # the buffer could not be flushed, but the file is discarded anyway
        finally:
            if self._may_be_there:
                self.place.unlink(missing_ok=True)


def _reason(error: OSError | duckdb.IOException) -> str:
    """Return the system's reason, even from inside a message of DuckDB."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    number = re.search(r'"errno":"(\d+)"', str(error))
    return os.strerror(int(number[1])) if number else str(error).splitlines()[0].removeprefix("IO Error: ")


@contextmanager
def drafts(paths: Sequence[Path], again: str) -> Iterator[list[Draft]]:
    """Yield files that are published together if the block succeeds. ``again``: the command to repeat.

    Raises OutputError.
    """
    all_of_them = [Draft(path, again) for path in paths]
    try:
        # An interrupt may come as soon as a file exists, so it must be discarded from then on.
        for draft in all_of_them:
            draft.open()
        yield all_of_them
        for draft in all_of_them:
            draft.seal()
        for draft in all_of_them:
            draft.publish()
    finally:
        for draft in all_of_them:
            draft.discard()


def make_folder(folder: Path) -> None:
    """Create the folder and its missing parents, readable only by the user."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def claim_folder(folder: Path) -> bool:
    """Create a folder; return False if it already exists. Raises OutputError."""
    try:
        make_folder(folder.parent)
        folder.mkdir(mode=PRIVATE_FOLDER)
        keep_out_of_git(folder.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and folder.is_dir():
            return False
        raise OutputError(
            f"{folder} cannot be created: {error.strerror or error}; nothing was sent. Choose another folder"
            " with --output"
        ) from None
    return True


def keep_out_of_git(folder: Path) -> None:
    """Write a .gitignore into a folder of reports, so that growers' results do not end up in a repository.

    It is not written into the working directory or a repository's root, where it would hide other files.
    """
    if folder.resolve() == Path.cwd() or (folder / ".git").exists():
        return
    with suppress(OSError):
        handle = os.open(folder / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("*\n")
