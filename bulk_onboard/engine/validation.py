"""The offline check of a file: nothing is sent, and nothing is kept."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.model import Secret, Status
from bulk_onboard.domain.providers import Provider
from bulk_onboard.domain.run_events import Observer, RowsRead, ignore
from bulk_onboard.engine.checked_file import CheckedFile, reading_of
from bulk_onboard.engine.first_pass import compare_rows
from bulk_onboard.settings import Settings
from bulk_onboard.threads import ahead
from bulk_onboard.validation.columns import PROVIDER
from bulk_onboard.validation.findings import CLEANED, COLUMNS, Validation, combine_tables
from bulk_onboard.workspace import Workspace

__all__ = ["COLUMNS", "Validation", "validate_file"]


def validate_file(source: Source, settings: Settings, observer: Observer = ignore) -> Validation:
    """Check every row, by the code that a run checks rows with. Raises InputError for an unusable file.

    App fields that neither a column nor a setting holds are not a fault of the file: they are assumed to be
    set, and `run` asks for the setting.
    """
    reading = reading_of(source, settings)
    placeholders = {provider.name: _placeholders(provider) for provider in reading.providers}
    app = {name: {**fields, **settings.app_of(name)} for name, fields in placeholders.items()}
    assumed = {name: fields.keys() - settings.app_of(name).keys() for name, fields in placeholders.items()}
    # Fingerprints are compared within this file only, so any key will do.
    file = CheckedFile(source, replace(reading, app=app, assumed=assumed, once=True), secrets.token_bytes(32))
    rows, problems, warnings = 0, [], []
    with Workspace(providers=[provider.name for provider in reading.providers]) as workspace:
        for checked in ahead(file.chunks()):
            workspace.load_rows(file.table(checked, kept=False))
            if checked.users is not None:
                workspace.load("user_keys", checked.users.table())
            rows += len(checked.frame)
            problems.append(checked.problems.assign(status=Status.INVALID.value))
            warnings.append(checked.warnings)
            observer(RowsRead(rows))
        compare_rows(workspace, file, allow_shared_tokens=settings.input.allow_shared_tokens)
        problems.append(workspace.findings().assign(column=""))
    warnings.append(file.file_warnings())
    by_provider = {} if file.columns.provider is None else {PROVIDER: file.columns.provider}
    fields = {**file.columns.fields, **by_provider}
    grower = [field.name for provider in reading.providers for field in provider.grower_fields]
    return Validation(
        file.description,
        rows,
        combine_tables(problems, COLUMNS),
        combine_tables(warnings, CLEANED),
        header=source.header,
        fields=fields,
        credentials=tuple(dict.fromkeys(name for name in grower if name in fields)),
    )


def _placeholders(provider: Provider) -> dict[str, Secret]:
    return {f.name: Secret(f.allowed[0] if f.allowed else f"set-{f.name}") for f in provider.app_fields}
