"""What the page shows of a session: no cells, except of the first rows and samples, and no secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bulk_onboard.domain.codes import hint, lookup
from bulk_onboard.domain.input_description import describe
from bulk_onboard.domain.run_events import Cause
from bulk_onboard.errors import BulkOnboardError
from bulk_onboard.settings import Settings
from bulk_onboard.ui import library
from bulk_onboard.ui.grid import SAMPLED, masked_lines
from bulk_onboard.ui.session import PASTED, Session
from bulk_onboard.validation.columns import PROVIDER


class PageState:
    """The state of a session; what a run in progress does not change is computed once for each version."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """Return what the page shows."""
        session = self._session
        if self._known.get("version") != session.version:
            self._known = _state(session)
        live = {"dry": session.dry, "run": session.run}
        return {**self._known, **{name: run and run.state() for name, run in live.items()}}


def _state(session: Session) -> dict[str, Any]:
    choices = session.choices
    return {
        "version": session.version,
        "busy": session.busy,
        "error": session.error,
        "file": session.file
        and {
            "name": session.name,
            "read": session.grid is not None,
            "isOnDisk": isinstance(session.file, str),
        },
        "sheets": _sheets(session),
        "columns": _column_state(session),
        "check": _check_state(session),
        "choices": {
            "sheets": choices.sheets,
            "headerRow": choices.header_row,
            "hidden": choices.hidden,
            "encoding": choices.encoding or "",
            "sandbox": choices.sandbox,
            "allowSharedTokens": choices.allow_shared_tokens,
            "createUsers": choices.create_users,
            "ifExists": choices.if_exists or "skip",
            "rate": choices.rate,
        },
        "settings": _settings_state(session),
        "commands": _commands(session),
    }


def _sheets(session: Session) -> list[dict[str, Any]]:
    read = session.source.description.sheets if session.source else ()
    row = session.source.description.header_row if session.source else None
    result = []
    for sheet in session.first:
        is_read = sheet.sheet in read or not sheet.sheet
        header = row if is_read and row is not None else sheet.header_row
        result.append(
            {
                "name": sheet.sheet,
                "visible": sheet.is_visible,
                "growers": sheet.has_growers,
                "read": is_read and session.grid is not None,
                "headerRow": header,
                "lines": masked_lines(sheet, header),
            }
        )
    return result


def _column_state(session: Session) -> dict[str, Any] | None:
    if (grid := session.grid) is None or session.source is None:
        return None
    description = (session.validation or session.source).description
    fields = [
        {**field, "column": guess.column if guess else None, "why": guess.why if guess else ""}
        for field in session.fields()
        for guess in [session.columns.get(field["name"])]
    ]
    return {
        "header": grid.header,
        "samples": _samples(session),
        "widths": [grid.width(at) for at in range(len(grid.header))],
        "fields": fields,
        "unmapped": session.unmapped(),
        "partner": session.partner,
        "input": describe(description),
        "hidden": len(description.hidden_rows),
        "isText": bool(description.encoding),
        "skipped": [[line.row, line.reason] for line in description.skipped_lines[:SAMPLED]],
    }


def _samples(session: Session) -> list[list[str | None]]:
    """Return a few cells of each column that are not empty."""
    lines = [line["cells"] for line in session.rows(0, 20)["lines"]]
    return [
        [cells[at] for cells in lines if cells[at] != ""][:3]
        for at in range(len(session.grid or ()) and len(lines[0]))
    ]


def _check_state(session: Session) -> dict[str, Any] | None:
    if (validation := session.validation) is None:
        return None
    groups = [*validation.problems, *validation.repeats, *validation.warnings]
    return {
        "rows": validation.rows,
        **validation.counts,
        "groups": [_group(cause) for cause in groups],
        "repairable": len(session.repairs),
        "corrected": len(session.corrections.cells),
        "leftOut": len(session.corrections.left_out),
    }


def _settings_state(session: Session) -> dict[str, Any]:
    try:
        settings = library.settings_of(session.choices)
    except BulkOnboardError as error:
        return {"error": str(error), "providers": [], "missing": [], "enter": [], "host": "", "login": ""}
    column = session.columns.get(PROVIDER)
    named = [name for name, guess in session.columns.items() if guess]
    return {
        "error": "",
        "provider": settings.provider if settings.provider_given or not column else "",
        "providerColumn": column and session.grid and session.grid.header[column.column],
        "providers": [[p.name, p.title] for p in settings.providers.values()],
        "host": "the sandbox on this machine" if session.choices.sandbox else settings.leaf.base_url,
        "login": ""
        if session.choices.sandbox
        else settings.leaf.login.username or ("a token" if settings.leaf.login.token else ""),
        "rate": settings.pace.rate,
        "missing": library.missing_of(settings, session.providers, named),
        "enter": _to_enter(session, settings),
        "entered": [*session.choices.entered],
    }


def _to_enter(session: Session, settings: Settings) -> list[str]:
    if settings.sandbox is not None:
        return []
    login = [] if settings.leaf.login.complete and not session.choices.entered else library.LOGIN
    app = [
        provider.setting(field)
        for provider in session.providers
        for field in provider.app_fields
        if field.name not in settings.app_of(provider.name)
        or provider.setting(field) in session.choices.entered
    ]
    return [*login, *app]


def _commands(session: Session) -> dict[str, str]:
    if session.file is None:
        return {}
    # Of two columns with one name, and of one without, only the copy tells which is meant.
    names = session.source.header if session.source else ()
    is_clear = {*session.choices.mapping.values()} <= {*names}
    corrected = any(session.corrections) or not is_clear or session.name == PASTED
    file, choices = session.file if isinstance(session.file, str) else session.name, session.choices
    if corrected:  # the rows are then in a file of their own, with the fields' own names
        file = library.repaired_name(session.name)
        choices = replace(choices, sheets=(), header_row=None, hidden=None, encoding=None, mapping={})
    return {
        "check": choices.command("validate", file),
        "dry": choices.command("run", file, "--dry-run"),
        "run": choices.command("run", file),
        "repaired": file if corrected else "",
    }


def _group(cause: Cause) -> dict[str, Any]:
    code = lookup(cause.code)
    return {
        "status": cause.status,
        "code": cause.code,
        "count": cause.count,
        "rows": list(cause.rows),
        "message": cause.message,
        "meaning": code.meaning if code else cause.message,
        "hint": hint(cause.code),
    }
