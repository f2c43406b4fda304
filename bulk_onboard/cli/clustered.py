"""A run on several workers, from the command line: ``bulk-onboard run FILE --cluster WHERE``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk_onboard.cli.running import Showing, driven
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Local, PostgresUrl

if TYPE_CHECKING:
    from bulk_onboard.cli.run import Onboarding
    from bulk_onboard.domain.input_description import InputDescription
    from bulk_onboard.domain.providers import Provider
    from bulk_onboard.engine.run import RunResult
    from bulk_onboard.engine.stop import Confirm
    from bulk_onboard.readers.parts import Part, Parts
    from bulk_onboard.settings import Settings

# So many parts for each worker, of so many bytes at least; so many workers if their number is not known.
EACH, SMALLEST, SOME = 4, 1 << 12, 8
# What workers have no use for: these may lead to secrets, or are the leader's business.
_OURS = {"notify", "ping", "metrics", "notify_when", "cluster", "ledger", "sandbox_reset"}
LEDGER = "BULK_ONBOARD_LEDGER"


def clustered(given: Mapping[str, Any], config: Path | None, confirm: Confirm | None) -> Onboarding:
    """How to onboard a file on the workers that the settings name.

    ``given``, ``config``: what the command line said, for the workers to load their settings by.
    """
    told = {name: value for name, value in given.items() if value is not None and name not in _OURS}

    def onboarding(file: str, settings: Settings, showing: Showing) -> RunResult:
        try:
            from bulk_onboard.cluster.lead import Input, Surroundings, onboard  # noqa: PLC0415
        except ModuleNotFoundError:
            raise UsageError("--cluster is not part of this installation; leave it out") from None
        from bulk_onboard.readers.part import ranges_of  # noqa: PLC0415

        parts = _parts(file, settings)
        providers = _providers(parts, settings)
        source = Input(_described(parts, settings, providers), parts.parts, providers, ranges_of(parts.heads))
        surroundings = Surroundings(told, str(config) if config else None)
        if isinstance(place := settings.output.ledger_place, PostgresUrl):
            os.environ[LEDGER] = place.address.reveal()  # for the workers that are started here
        return driven(
            lambda observer, stop: onboard(source, settings, surroundings, observer, stop, confirm=confirm),
            showing,
        )

    return onboarding


def _parts(file: str, settings: Settings) -> Parts:
    """The input, taken apart. Each worker gets several parts: one that is slow or dies is no matter then."""
    from bulk_onboard.readers.parts import Size, parts_of  # noqa: PLC0415

    told, path = settings.input, Path(file)
    workers = settings.cluster.workers if isinstance(settings.cluster, Local) else SOME
    size = Size()
    if path.is_file():
        size = replace(size, bytes=max(SMALLEST, min(size.bytes, path.stat().st_size // (workers * EACH))))
    return parts_of(file, told.reading, size=size)


def _described(parts: Parts, settings: Settings, providers: Sequence[Provider]) -> InputDescription:
    """How the input is read. Raises InputError if its header does not fit."""
    from bulk_onboard.engine.input_columns import columns_of, with_columns  # noqa: PLC0415
    from bulk_onboard.engine.scan import reading_for  # noqa: PLC0415
    from bulk_onboard.readers.parts import open_part  # noqa: PLC0415

    with open_part(parts.parts[0]) as source:
        columns = columns_of(source, reading_for(settings, providers))
        return with_columns(parts.description, source.header, columns)


def _providers(parts: Parts, settings: Settings) -> list[Provider]:
    """Those that rows go to. Raises as `reading_with_settings`, for each file."""
    from bulk_onboard.engine.opening import reading_with_settings  # noqa: PLC0415
    from bulk_onboard.readers.parts import open_part  # noqa: PLC0415

    found: set[str] = set()
    for part in _telling(parts, settings):
        with open_part(part) as source:
            found.update(provider.name for provider in reading_with_settings(source, settings).providers)
    return [each for name, each in settings.providers.items() if name in found]


def _telling(parts: Parts, settings: Settings) -> Iterator[Part]:
    """The parts to look into: the first of each file, and all of files with several providers."""
    from bulk_onboard.validation.columns import provider_column  # noqa: PLC0415

    mixed = {
        head.where: provider_column(head.header, settings.input.mapping, head.name) is not None
        for head in parts.heads
    }
    last = None
    for part in parts.parts:
        if part.where != last or mixed[part.where]:
            yield part
        last = part.where
