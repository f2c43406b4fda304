"""XML parts of workbooks: an archive with related parts (Open Packaging Conventions)."""

from __future__ import annotations

import posixpath
import zipfile
from collections import deque
from collections.abc import Iterator
from typing import IO, Any, Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, XMLPullParser, iterparse

from bulk_onboard.readers.sheet_rows import DamagedWorkbook

_BLOCK = 1 << 16


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace(element: Element) -> str:
    """Return what is before the name of an element: ``{…}``, or "" without a namespace."""
    return element.tag[: -len(local(element))]


def attribute(element: Element, name: str) -> str | None:
    """Return the value of an attribute, whatever its namespace."""
    return next((value for key, value in element.items() if key == name or key.endswith(f"}}{name}")), None)


def is_true(value: str | None) -> bool:
    """Return whether an XML boolean is true."""
    return value is not None and value.strip().lower() in {"1", "true", "on"}


def children(element: Element, *path: str) -> list[Element]:
    """Return the elements at a path of local names, in the element's own namespace."""
    return element.findall("/".join(f"{namespace(element)}{name}" for name in path))


def parse(part: IO[bytes], *events: Literal["start", "end"]) -> Iterator[tuple[str, Element]]:
    """Yield (event, element). Raises ParseError, also for entities that expand to very long texts."""
    return iterparse(part, events)  # noqa: S314  (expat 2.4.1 and later limit the expansion of entities)


def children_of(part: IO[bytes], name: str) -> Iterator[Element]:
    """Yield the children of the first element of this local name, each when it is complete.

    Faster than `parse`, by as much as there is in the children: no event of theirs is looked at.
    """
    parser: Any = XMLPullParser(("start",))
    parent: Element | None = None
    while block := part.read(_BLOCK):
        parser.feed(block)
        if parent is None:
            parent = next((element for _, element in parser.read_events() if local(element) == name), None)
        deque(parser.read_events(), maxlen=0)
        if parent is not None:
            yield from parent[:-1]  # the last one may go on in the next block
            del parent[:-1]
    parser.close()
    deque(parser.read_events(), maxlen=0)
    yield from () if parent is None else parent


class Package:
    """The parts of an Office archive, by name, whatever the case and the direction of the slashes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """``archive``: closed with the package."""
        self._archive, self.close = archive, archive.close
        self._names = {_normal(name): name for name in archive.namelist()}

    def __contains__(self, name: str) -> bool:
        return _normal(name) in self._names

    def open(self, name: str) -> IO[bytes]:
        """Open one part. Raises DamagedWorkbook if it is missing."""
        if name not in self:
            raise DamagedWorkbook(f"{name} is missing")
        return self._archive.open(self._names[_normal(name)])

    def root(self, name: str) -> Element:
        """Return the root element of a part; an empty element if the part does not exist."""
        if name not in self:
            return Element("missing")
        with self.open(name) as part:
            return ElementTree.parse(part).getroot()  # noqa: S314  (see `parse`)

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the relationships of a part: id -> last word of the type, other part."""
        folder, _, base = name.rpartition("/")
        targets: dict[str, tuple[str, str]] = {}
        for link in self.root(f"{folder}/_rels/{base}.rels".lstrip("/")):
            target = posixpath.join("/", folder, link.get("Target", "").replace("\\", "/"))
            kind = link.get("Type", "").rpartition("/")[2]
            targets[link.get("Id", "")] = kind, posixpath.normpath(target).lstrip("/")
        return targets


def _normal(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
