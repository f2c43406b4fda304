"""Which columns of an input are used for what, and how that is described."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.errors import InputError
from bulk_onboard.validation.columns import PROVIDER, Columns, match_header
from bulk_onboard.validation.likely_columns import MOST

if TYPE_CHECKING:
    from bulk_onboard.engine.scan import Reading

# How many rows are sampled to see which column may hold a field.
SAMPLED = 200


def columns_of(source: Source, reading: Reading) -> Columns:
    """Return the columns of a source's fields. Raises InputError if its header does not fit, UsageError."""
    return match_header(
        source.header,
        reading.providers,
        mapping=reading.mapping,
        keep=reading.keep,
        name=source.name,
        place=source.description.header_place,
        users=reading.create_users,
        sample=lambda: _sample(source),
    )


def _sample(source: Source) -> list[list[str]]:
    """Return some rows with their first columns, none if they cannot be read."""
    with suppress(InputError):
        for piece in source.chunks(range(min(len(source.header), MOST)), SAMPLED):
            return [list(cells) for cells in piece.cells.itertuples(index=False, name=None)]
    return []


def with_columns(description: InputDescription, header: Sequence[str], columns: Columns) -> InputDescription:
    """Return the description with the column of each field."""
    provider = {} if columns.provider is None else {PROVIDER: header[columns.provider]}
    return replace(description, columns={**columns.names, **columns.user_names, **provider})
