"""The files that an input is made of: one, those of a folder, or those that a pattern of names matches.

In name order. What is hidden or begins with ``_`` is left out: that is how programs leave notes of their own.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from os.path import commonprefix
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.readers.decode import SUFFIXES as PACKED
from bulk_onboard.readers.detect import KNOWN, has_known_suffix, is_system_file
from bulk_onboard.validation.columns import normal
from bulk_onboard.where import is_pattern, pattern_name, scheme, shown, steps

_QUERY = re.compile(r"[?&#][\w.~%-]+=")
_WEB = {"http", "https"}


@dataclass(frozen=True, slots=True)
class Files:
    """``name``: of all of them, for people; ``paths``: absolute, or addresses."""

    name: str
    paths: tuple[str, ...]


def is_one_file(where: str) -> bool:
    """Whether it is neither a folder nor a pattern; of an address, as far as the word itself tells."""
    if (kind := scheme(where)) is not None:
        return kind in _WEB or not (is_pattern(where) or where.endswith("/"))
    with suppress(OSError, ValueError):
        path = Path(where)
        return not path.is_dir() and (path.exists() or not is_pattern(where))
    return True


def files_at(where: str) -> Files:
    """The files to be read. Raises InputError if there are none, UsageError for an address of no use."""
    kind = scheme(where)
    if kind in _WEB:
        return Files(shown(where), (where,))
    if kind is None and is_one_file(where):
        require_no_table(where, [])
        return Files(shown(where), (_absolute(where),))
    matched = is_pattern(where) and not (kind is None and Path(where).is_dir())
    if kind is None:
        found = _matching(where) if matched else _inside(Path(where))
    else:
        from bulk_onboard.readers.ranged import listed  # noqa: PLC0415  (loaded when used)

        found = listed(where, is_pattern=matched)
    rest = sorted((each for each in found if not _is_note(each[0], where)), key=lambda each: steps(each[0]))
    paths = [path for path, is_folder in rest if not is_folder]
    require_no_table(where, paths)
    if kind is not None and paths == [where]:
        return Files(shown(where), (where,))
    return _matched(where, rest) if matched else _in_folder(where, rest)


def require_no_secret(where: str) -> None:
    """Who sees the pages of a cluster sees addresses. Raises UsageError."""
    try:
        told, is_web = urlsplit(where), scheme(where) in _WEB
        secret = told.password is not None or (is_web and bool(told.query or told.fragment or told.username))
    except ValueError:
        secret = True
    if scheme(where) is not None and (secret or _QUERY.search(where)):
        raise UsageError(
            f"{shown(where)}: its address may contain a secret, which the cluster's pages would show;"
            " use s3://, gs:// or az://, which use the store's own credentials"
        )


Found = Iterable[tuple[str, bool]]


def _inside(folder: Path) -> Found:
    try:
        return [(str(each), each.is_dir()) for each in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder.name} cannot be read: {error.strerror}") from None


def _matching(pattern: str) -> Found:
    matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207  (it may begin anywhere)
    return [(str(each), each.is_dir()) for each in matches]


def _matched(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    """The files of a pattern. A folder among them is refused, unless the pattern reaches into folders."""
    name = pattern_name(where)
    folders = [steps(path)[-1] for path, is_folder in found if is_folder]
    if folders and "**" not in where:
        raise InputError(f"{name} matches the folder {folders[0]}; for the files in such folders, add /*")
    files = tuple(path for path, is_folder in found if not is_folder)
    if not files:
        raise InputError(f"{name}: no file matches this pattern")
    return Files(name, tuple(map(_absolute, files)))


def _in_folder(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    """The files in a folder. What cannot be read is refused: growers may be in it."""
    name = shown(where)
    strange = [steps(path)[-1] for path, is_folder in found if is_folder or not has_known_suffix(path)]
    if strange:
        suggested = _suggestion(where, found)
        what = f"give a pattern, such as '{suggested}'" if suggested else f"expected {KNOWN}"
        listed = f"{', '.join(strange[:3])}{', …' if strange[3:] else ''}"
        raise InputError(f"{name} contains {listed}, which cannot be read; {what}")
    if not found:
        raise InputError(f"{name} is an empty folder; expected files in it")
    return Files(name, tuple(_absolute(path) for path, _ in found))


# A folder is searched for the files to suggest no further than this.
_MOST_LOOKED_AT = 10_000


def _suggestion(where: str, found: Sequence[tuple[str, bool]]) -> str:
    """A pattern that matches the most files in a folder that could be read, "" if there are none."""
    files = (path for path, is_folder in found if not is_folder)
    if scheme(where) is None:
        files = (str(path) for path in islice(Path(where).rglob("*"), _MOST_LOOKED_AT) if path.is_file())
    base = steps(where)
    by_suffix: dict[str, list[tuple[str, ...]]] = {}
    for path in files:
        own = steps(path)[len(base) :]
        suffixes = "".join(PurePath(path).suffixes[-2 if PurePath(path).suffix in PACKED else -1 :])
        if not any(map(is_system_file, own)) and (has_known_suffix(path) or not suffixes):
            by_suffix.setdefault(suffixes, []).append(own)
    if not by_suffix:
        return ""
    suffixes, paths = max(by_suffix.items(), key=lambda item: len(item[1]))
    begin = re.sub(r"[0-9]+$", "", commonprefix([own[-1] for own in paths]))  # noqa: RUF071  (no paths)
    depths = {len(own) for own in paths}
    between = ["*"] * (depths.pop() - 1) if len(depths) == 1 else ["**"]
    return "/".join([where.rstrip("/"), *between, f"*{suffixes}" if suffixes else f"{begin}*"])


def _is_note(path: str, where: str) -> bool:
    """Whether a step of it is a file of the system or of a program, and the user has not named it."""
    named, asked = steps(where), where.rpartition("/")[2][:1]
    own = [step for step in steps(path) if step not in named]
    return any(is_system_file(step) and not (is_pattern(where) and step[0] == asked) for step in own)


# --- tables of several files --------------------------------------------------------------------------


# What a folder has in it -> the kind of table that it is. Its files also hold rows that were deleted.
_TABLES = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "metadata/version-hint.text": "an Iceberg table",
    "metadata/*.metadata.json": "an Iceberg table",
}


def require_no_table(where: str, paths: Sequence[str]) -> None:
    """Raises InputError if ``where``, or a file found there, belongs to a Delta, Iceberg or Hudi table."""
    starts = dict.fromkeys([*([] if is_pattern(where) else [where, _above(where)]), *map(_above, paths)])
    for folder in dict.fromkeys(root for start in starts for root in _possible_roots(start)):
        for sign, what in _TABLES.items():
            if _exists(folder, sign):
                raise InputError(
                    f"{shown(folder)} is {what}: its files also hold rows that were changed or deleted;"
                    " export its current rows as one CSV or Parquet file"
                )


def _possible_roots(folder: str) -> Iterator[str]:
    """The folder and those above it, up to one that is neither ``data`` nor a partition of a table."""
    while True:
        yield folder
        above = _above(folder)
        name = shown(folder)
        if above == folder or not (name == "data" or _PARTITION.fullmatch(name)):
            return
        folder = above


def _above(path: str) -> str:
    """The folder that a file or folder is in."""
    if scheme(path) is None:
        return str(Path(path).absolute().parent)
    return path.rstrip("/").rpartition("/")[0] if len(steps(path)) > 3 else path


def _exists(folder: str, sign: str) -> bool:
    if (kind := scheme(folder)) is None:
        with suppress(OSError, ValueError):  # a name that no file can have
            return next(Path(folder).glob(sign), None) is not None
        return False
    if kind in _WEB:
        return False
    from bulk_onboard.readers.ranged import exists  # noqa: PLC0415  (loaded when used)

    return exists(f"{folder.rstrip('/')}/{sign}")


# --- columns in the path ------------------------------------------------------------------------------


_PARTITION = re.compile(r"([^=]+)=(.*)")
# What Hive, Spark and others write for a missing value.
_MISSING = "__HIVE_DEFAULT_PARTITION__"


def path_columns(path: str) -> dict[str, str]:
    """The columns that folders named ``name=value`` stand for. Raises InputError if two contradict."""
    columns: dict[str, str] = {}
    if scheme(path) in _WEB:
        return columns
    for step in steps(path)[:-1]:
        if found := _PARTITION.fullmatch(step):
            name, value = unquote(found[1]), "" if found[2] == _MISSING else unquote(found[2])
            same = next((known for known in columns if normal(known) == normal(name)), name)
            if columns.setdefault(same, value) != value:
                raise InputError(f"{shown(path)}: two folders of its path give different values for {name}")
    return columns


def _absolute(path: str) -> str:
    """The same from any folder, for it may be read by a process in another."""
    return path if scheme(path) is not None else str(Path(path).absolute())
