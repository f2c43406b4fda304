"""A broken file: how it is made, and what has to be said of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

IDS = [str(uuid.UUID(int=number + 10**30)) for number in range(40)]
HEADER = "leafUserId,refreshToken\n"

Content = str | bytes
Make = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """``problems``: code -> rows, all of them, for files that can be used; ``words``: of the one line else.

    ``make`` writes the file at the path it is given.
    """

    name: str
    make: Make
    code: int
    words: tuple[str, ...] = ()
    problems: Mapping[str, list[int]] = field(default_factory=dict)
    warnings: Mapping[str, list[int]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    rows: int | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.note}".strip()


def token(number: int) -> str:
    """A token that must not be seen again."""
    return f"planted-token-{number}"


def good(count: int = 3, first: int = 0, delimiter: str = ",") -> str:
    """Rows that are fine."""
    return "".join(f"{IDS[n]}{delimiter}{token(n)}\n" for n in range(first, first + count))


def data(content: Content | Callable[[], Content]) -> Make:
    """Writes just this; what is large is made when it is needed."""

    def make(path: Path) -> None:
        found = content() if callable(content) else content
        path.write_bytes(found.encode() if isinstance(found, str) else found)

    return make


def refused(name: str, make: Make, *words: str, note: str = "", options: tuple[str, ...] = ()) -> Case:
    """A file that cannot be used."""
    return Case(name, make, 3, words, note=note, options=options)


def fine(name: str, make: Make, *, rows: int = 3, note: str = "", **more: object) -> Case:
    """A file that looks broken and works."""
    return Case(name, make, 0, rows=rows, note=note, **more)  # type: ignore[arg-type]


def faulty(name: str, make: Make, note: str = "", rows: int | None = None, **problems: list[int]) -> Case:
    """A file with bad rows; codes are spelled with ``_``, ``warn_`` before those of what was cleaned."""
    refused = {key: at for key, at in problems.items() if not key.startswith("warn_")}
    warned = {_code(key.removeprefix("warn_")): at for key, at in problems.items() if key not in refused}
    return Case(
        name,
        make,
        1,
        problems={_code(k): at for k, at in refused.items()},
        warnings=warned,
        note=note,
        rows=rows,
    )


def _code(key: str) -> str:
    return key.replace("_", "-")
