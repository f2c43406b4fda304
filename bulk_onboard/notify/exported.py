"""A file for another user's program: whole or absent like a report, but readable by all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_exported(path: Path, text: str) -> None:
    """Write or replace the file at once. There must be no secret in it. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(
            os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        if os.name == "posix":
            draft.chmod(0o644)  # whatever the umask says: the node exporter has to read it
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_exported(path: Path) -> str:
    """What it holds, "" if there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
