"""What a file asks of the settings: told before a run starts, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_onboard.cli.config import require

if TYPE_CHECKING:
    from bulk_onboard.chunk import Source
    from bulk_onboard.engine.scan import Reading
    from bulk_onboard.settings import Settings


def reading_with_settings(source: Source, settings: Settings) -> Reading:
    """How the file is read, if the settings have what its rows need.

    Raises UsageError that names all that are missing, InputError if the header cannot be used.
    """
    from bulk_onboard.engine.input_columns import columns_of  # noqa: PLC0415
    from bulk_onboard.engine.scan import reading_of  # noqa: PLC0415

    reading = reading_of(source, settings)
    require(settings, reading.providers, columns_of(source, reading).fields)
    return reading
