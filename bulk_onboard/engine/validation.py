"""The offline check of a file: nothing is sent, nothing is remembered."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.providers import Provider
from bulk_onboard.engine.ahead import ahead
from bulk_onboard.engine.scan import Scan, reading_of
from bulk_onboard.engine.survey import compare_rows
from bulk_onboard.facts import Observer, ignore
from bulk_onboard.facts import Reading as RowsRead
from bulk_onboard.model import Secret, Status
from bulk_onboard.settings import Settings
from bulk_onboard.validation.columns import PROVIDER
from bulk_onboard.validation.findings import CLEANED, COLUMNS, Validation, combined
from bulk_onboard.workspace import Workspace

__all__ = ["COLUMNS", "Validation", "validate_file"]


def validate_file(source: Source, settings: Settings, observer: Observer = ignore) -> Validation:
    """Check every row. Raises InputError if the file cannot be used at all.

    App fields that neither a column nor a setting holds are no fault of the file: a stand-in takes their
    place here, and `run` asks for the setting.
    """
    # Fingerprints are compared within this file only, so any key will do.
    told = reading_of(source, settings)
    stand_ins = {each.name: _stand_ins(each) for each in told.providers}
    app = {name: {**fields, **settings.app_of(name)} for name, fields in stand_ins.items()}
    assumed = {name: fields.keys() - settings.app_of(name).keys() for name, fields in stand_ins.items()}
    scan = Scan(source, replace(told, app=app, assumed=assumed, once=True), secrets.token_bytes(32))
    rows, problems, warnings = 0, [], []
    with Workspace() as workspace:
        for checked in ahead(scan.chunks()):
            workspace.load("rows", scan.table(checked, kept=False))
            if checked.users is not None:
                workspace.load("user_keys", checked.users.table())
            rows += len(checked.frame)
            problems.append(checked.problems.assign(status=Status.INVALID.value))
            warnings.append(checked.warnings)
            observer(RowsRead(rows))
        compare_rows(workspace, scan, allow_shared_tokens=settings.input.allow_shared_tokens)
        problems.append(workspace.findings().assign(column=""))
    warnings.append(scan.file_warnings())
    by_provider = {} if scan.columns.provider is None else {PROVIDER: scan.columns.provider}
    fields = {**scan.columns.fields, **by_provider}
    grower = [field.name for each in told.providers for field in each.grower_fields]
    return Validation(
        scan.description,
        rows,
        combined(problems, COLUMNS),
        combined(warnings, CLEANED),
        header=source.header,
        fields=fields,
        credentials=tuple(dict.fromkeys(name for name in grower if name in fields)),
    )


def _stand_ins(provider: Provider) -> dict[str, Secret]:
    return {f.name: Secret(f.allowed[0] if f.allowed else f"set-{f.name}") for f in provider.app_fields}
