"""Which fields a file has a column for: asked before a run starts, to know which settings it still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_onboard.chunk import Source
    from bulk_onboard.settings import Settings


def fields_in(source: Source, settings: Settings) -> frozenset[str]:
    """The fields, by Leaf's names. Raises InputError if the header cannot be used."""
    from bulk_onboard.header import match_header  # noqa: PLC0415

    told, provider = settings.input, settings.chosen
    found = match_header(source.header, provider, mapping=told.mapping, keep=told.keep, name=source.name)
    return frozenset(found.fields)
