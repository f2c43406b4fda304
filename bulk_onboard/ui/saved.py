"""The mapping of a partner's columns, saved in bulk-onboard.toml for the next file with the same header."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulk_onboard.errors import UsageError
from bulk_onboard.reports.draft import drafts
from bulk_onboard.settings.config_file import DEFAULT_FILE
from bulk_onboard.validation.columns import normalize

KEY = "partners"


@dataclass(frozen=True, slots=True)
class Saved:
    """``columns``: the header that the mapping (field -> column) is for, whatever its order and spelling."""

    partner: str
    columns: Sequence[str]
    mapping: Mapping[str, str]

    @property
    def signature(self) -> frozenset[str]:
        """What is the same in all headers that the mapping is for."""
        return frozenset(normalize(name) for name in self.columns if name)


def find(header: Sequence[str], path: Path = DEFAULT_FILE) -> Saved | None:
    """Return the latest mapping for a header, None if there is none. A file that cannot be read has none."""
    wanted = Saved("", header, {}).signature
    with suppress(OSError, UnicodeError, tomllib.TOMLDecodeError):
        entries = tomllib.loads(path.read_text(encoding="utf-8-sig")).get(KEY, [])
        mappings = [saved for entry in entries if (saved := _of(entry))]
        return next((saved for saved in reversed(mappings) if saved.signature == wanted), None)
    return None


def save(saved: Saved, path: Path = DEFAULT_FILE) -> None:
    """Add a mapping to the file, in place of an earlier one for the header. Raises UsageError, OutputError.

    All else in the file stays as it is, also its comments.
    """
    if not saved.partner:
        raise UsageError("name the partner that the mapping is for")
    try:
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
        tomllib.loads(text)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError):
        raise UsageError(f"{path} cannot be read as TOML, so nothing was saved") from None
    others = [block for block in _blocks(text) if not _is_for(block, saved.signature)]
    before = "".join(others).rstrip()
    added = "\n".join(
        [
            f"[[{KEY}]]",
            f"name = {_toml(saved.partner)}",
            f"columns = [{', '.join(map(_toml, saved.columns))}]",
            f"map = {{ {', '.join(f'{_toml(k)} = {_toml(v)}' for k, v in saved.mapping.items())} }}",
        ]
    )
    with drafts([path], "the page") as (draft,), draft.writing():
        draft.file.write(f"{before}\n\n{added}\n".lstrip().encode())


def _of(entry: Any) -> Saved | None:
    match entry:
        case {"name": str(name), "columns": list(columns), "map": dict(mapping)}:
            return Saved(name, [str(c) for c in columns], {str(k): str(v) for k, v in mapping.items()})
        case _:
            return None


def _blocks(text: str) -> list[str]:
    """Return the text cut before each table."""
    return re.split(r"(?m)^(?=[ \t]*\[)", text)


def _is_for(block: str, signature: frozenset[str]) -> bool:
    if not block.lstrip().startswith(f"[[{KEY}]]"):
        return False
    with suppress(tomllib.TOMLDecodeError):
        return any(
            (saved := _of(entry)) and saved.signature == signature
            for entry in tomllib.loads(block).get(KEY, [])
        )
    return False


def _toml(text: str) -> str:
    """Return a text as TOML writes it: as JSON does, with one character more that has to be escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
