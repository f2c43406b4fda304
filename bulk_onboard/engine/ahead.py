"""Two steps of a chain at once: the next item is made by another thread while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order, each made while the one before is worked on; never more than one.

    What making one raises is raised in its turn. Whoever stops early waits for the one that is being made.
    """
    nothing = object()
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = other.submit(next, items, nothing)
            yield item  # type: ignore[misc]
            del item  # not to be held with the next two
