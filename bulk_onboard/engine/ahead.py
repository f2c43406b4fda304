"""Prefetch: another thread makes the next item while the caller works on this one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items in the same order; prefetch one item while the caller works on the item before.

    An exception of the iterator is raised in its turn. A caller that stops early waits for that item.
    """
    nothing = object()
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = other.submit(next, items, nothing)
            yield item  # type: ignore[misc]
            del item  # do not keep it in memory with the next two
