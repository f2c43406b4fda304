"""All that the page asks of the library. Everything is decided there, nothing here."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bulk_onboard import api
from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.providers import Provider
from bulk_onboard.engine.corrected_files import write_marked, write_repaired
from bulk_onboard.engine.validation import Validation
from bulk_onboard.readers.formats.workbook import Workbook
from bulk_onboard.readers.header_row import FirstRows
from bulk_onboard.readers.input_file import InputFile
from bulk_onboard.readers.inputs import first_rows, open_source
from bulk_onboard.settings import Login, Settings, command_line
from bulk_onboard.settings.load import load
from bulk_onboard.settings.requirements import missing_settings
from bulk_onboard.ui.live_run import LiveRun
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, columns_by_name
from bulk_onboard.validation.likely_columns import column_of, likely_columns, why_likely
from bulk_onboard.validation.repair import Repair

# What a person may enter on the page for as long as it is open, besides the app fields of the provider.
LOGIN = ("LEAF_USERNAME", "LEAF_PASSWORD", "LEAF_TOKEN")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose. ``sheets`` and ``header_row`` empty: the reader's choice.

    ``mapping``: field -> name of a column, only where that is not the field's own; ``entered``: settings by
    the names of their variables.
    """

    sheets: tuple[str, ...] = ()
    header_row: int | None = None
    hidden: str | None = None
    encoding: str | None = None
    provider: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    sandbox: bool = True
    allow_shared_tokens: bool = False
    create_users: bool = False
    if_exists: str | None = None
    rate: str = ""
    entered: Mapping[str, Secret] = field(default_factory=dict)

    def reading(self) -> ReadOptions:
        """Return how the file is opened."""
        return ReadOptions(
            sheets=self.sheets, hidden=self.hidden, encoding=self.encoding, header_row=self.header_row
        )

    def checking(self) -> dict[str, Any]:
        """Return the options of `validate`."""
        return {
            "provider": self.provider,
            "map": dict(self.mapping),
            "allow_shared_tokens": self.allow_shared_tokens,
            "create_users": self.create_users,
        }

    def running(self) -> dict[str, Any]:
        """Return the options of `run`."""
        options = {"rate": self.rate, "if_exists": self.if_exists}
        return {**self.checking(), **{n: v for n, v in options.items() if v}, "sandbox": self.sandbox}

    def form(self) -> dict[str, Any]:
        """Return the options that are about the form of the file."""
        return {
            "sheet": self.sheets,
            "header_row": self.header_row,
            "hidden": self.hidden,
            "encoding": self.encoding,
        }

    def command(self, verb: str, file: str, *more: str) -> str:
        """Return the command line that does the same; ``more``: options as they are typed."""
        options = self.running() if verb == "run" else self.checking()
        return command_line.command(verb, file, {**self.form(), **options}, *more)


class Guess(NamedTuple):
    """A column that a field is in, and why that is thought; a name of its own needs no guess."""

    column: int
    why: str


def opened(file: InputFile | str, choices: Choices) -> Source:
    """Open the file. Raises InputError."""
    return open_source(file, choices.reading())


def first_lines(source: Source, file: InputFile | str, choices: Choices) -> list[FirstRows]:
    """Return the first rows of an open file; a workbook knows them already."""
    return source.first_rows() if isinstance(source, Workbook) else first_rows(file, choices.encoding)


def settings_of(choices: Choices, *, offline: bool = False) -> Settings:
    """Return the settings of this folder with the choices. Raises UsageError."""
    given = choices.running()
    settings = load(given, offline=offline, is_command_line=False)
    if choices.sandbox or offline or not choices.entered:
        return settings
    login, app = _login(settings, choices), _app(settings, choices)
    return load(given, login=login, app=app, is_command_line=False)


def missing_of(settings: Settings, providers: Sequence[Provider], columns: Sequence[str]) -> list[str]:
    """Return the settings that a run still needs, by name."""
    return missing_settings(settings, providers, columns)


def _login(settings: Settings, choices: Choices) -> Login:
    entered, login = choices.entered, settings.leaf.login
    username = entered["LEAF_USERNAME"].reveal() if "LEAF_USERNAME" in entered else login.username
    return Login(
        entered.get("LEAF_TOKEN", login.token), username, entered.get("LEAF_PASSWORD", login.password)
    )


def _app(settings: Settings, choices: Choices) -> dict[str, dict[str, str]]:
    """Return what was entered of the app fields, by provider."""
    fields: dict[str, dict[str, str]] = {}
    for provider in settings.providers.values():
        for app_field in provider.app_fields:
            if secret := choices.entered.get(provider.setting(app_field)):
                fields.setdefault(provider.name, {})[app_field.name] = secret.reveal()
    return fields


def guesses(
    header: Sequence[str], rows: Sequence[Sequence[str]], fields: Sequence[str], needed: Sequence[str]
) -> dict[str, Guess]:
    """Return where the fields probably are: all by their own name, and the needed ones by a guess.

    ``rows``: some rows of the file.
    """
    named = columns_by_name(header, [*fields, PROVIDER])
    missing = [name for name in needed if name not in named]
    likely = likely_columns(missing, header, named.values(), rows, LEAF_USER_ID)
    columns = {name: Guess(at, "") for name, at in named.items()}
    for name, at in likely.items():
        columns[name] = Guess(at, why_likely(name, header[at], column_of(rows, at), LEAF_USER_ID))
    return columns


def checked(source: Source, choices: Choices) -> Validation:
    """Check every row offline. Raises InputError, UsageError."""
    return api.validate(source, **choices.checking())


def certain_repairs(source: Source, validation: Validation) -> dict[tuple[int, int], str]:
    """Return the cells that need no guess to be repaired, and their texts."""
    repair, cells = Repair(validation, iter(())), dict[tuple[int, int], str]()
    for chunk in source.chunks(range(len(source.header))):
        cells |= repair.corrections(chunk)
    return cells


def marked_workbook(source: Source, validation: Validation, name: str, choices: Choices) -> bytes:
    """Return the workbook with every bad cell marked; nothing is written to the disk."""
    out, options = io.BytesIO(), {**choices.form(), **choices.checking()}
    write_marked(
        out, source, validation, lambda own: command_line.check_and_run(name, options, same_form=own)
    )
    return out.getvalue()


def repaired_csv(source: Source, validation: Validation) -> bytes:
    """Return the rows as CSV, repaired."""
    out = io.BytesIO()
    write_repaired(out.write, source, validation)
    return out.getvalue()


async def run(source: Source, choices: Choices, live: LiveRun) -> api.Result:
    """Onboard the rows, or do a dry run. Raises BulkOnboardError."""
    settings = settings_of(choices)
    return await api.onboard(
        source,
        login=None if choices.sandbox else settings.leaf.login,
        app=None if choices.sandbox else _app(settings, choices),
        observer=live.observe,
        stop=live.stop,
        confirm=live.confirm,
        dry_run=live.dry,
        **choices.running(),
    )


def repaired_name(name: str) -> str:
    """Return the name of a repaired copy of a file."""
    return f"{Path(name).stem}-repaired.csv"
