"""XML of workbooks, parsed a block at a time: nothing is held but what the handlers keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import IO
from xml.parsers import expat

from bulk_onboard.readers.sheet_rows import DamagedWorkbook

Attributes = Mapping[str, str]

_BLOCK = 1 << 18


def parse(
    part: IO[bytes],
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Call the handlers with local names, whatever the prefixes; yield after every block.

    Raises DamagedWorkbook for what is not well-formed, and for declared entities: no spreadsheet program
    writes them.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    local = _LocalNames()
    parser.StartElementHandler = lambda name, attributes: start(local[name], attributes)
    parser.EndElementHandler = lambda name: end(local[name])
    if text:
        parser.CharacterDataHandler = text
    parser.EntityDeclHandler = _refuse
    try:
        while block := part.read(_BLOCK):
            parser.Parse(block)
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        raise DamagedWorkbook(f"XML: {expat.ErrorString(error.code)}, line {error.lineno}") from None


def attribute(attributes: Attributes, name: str) -> str | None:
    """The value of an attribute by its local name, whatever its prefix."""
    if name in attributes:
        return attributes[name]
    suffix = f":{name}"
    return next((value for key, value in attributes.items() if key.endswith(suffix)), None)


def is_true(value: str | None) -> bool:
    """Whether an XML boolean says yes."""
    return value is not None and value.strip().lower() in {"1", "true", "on"}


class _LocalNames(dict[str, str]):
    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(":")[2]
        return local


def _refuse(*_: object) -> None:
    raise DamagedWorkbook("XML with entities of its own")
