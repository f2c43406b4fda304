"""The way of one file: opened, understood, checked, mended, tried and run. What happens is the library's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bulk_onboard.domain.chunk import Source
from bulk_onboard.domain.model import Secret
from bulk_onboard.domain.providers import Provider
from bulk_onboard.domain.users import UserKey
from bulk_onboard.engine.checked_file import reading_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, InputError, UsageError, place_of
from bulk_onboard.readers.header_row import FirstRows
from bulk_onboard.readers.in_memory import Corrected
from bulk_onboard.readers.input_file import InputFile
from bulk_onboard.readers.inputs import first_rows
from bulk_onboard.ui import library, saved
from bulk_onboard.ui.grid import SAMPLED, WINDOW, Corrections, Grid
from bulk_onboard.ui.library import Choices, Guess
from bulk_onboard.ui.live_run import LiveRun
from bulk_onboard.validation.columns import LEAF_USER_ID, columns_by_name, holds_data
from bulk_onboard.validation.findings import Validation

_RESULT_COLUMNS = ["row", "leafUserId", "status", "health", "code", "message", "hint"]
# The name of rows that were pasted, which are in no file.
PASTED = "pasted.tsv"
# Choices by what they need: the file read again, its rows checked again, or neither.
_READING = {"sheets", "header_row", "hidden", "encoding"}
_CHECKING = {"provider", "allow_shared_tokens", "create_users"}


class Session:
    """One file at a time. ``version`` grows with every change that the page should show."""

    def __init__(self) -> None:
        self.version = 0
        self.error = self.busy = ""
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.run: LiveRun | None = None
        self.choices = Choices()
        self._forget()

    def _forget(self) -> None:
        """Begin without a file."""
        self.file: InputFile | str | None = None
        self.name = ""
        self.first: list[FirstRows] = []
        self.source: Source | None = None
        self.grid: Grid | None = None
        self.columns: dict[str, Guess | None] = {}
        self.corrections = Corrections({}, set())
        self.validation: Validation | None = None
        self.repairs: dict[tuple[int, int], str] = {}
        self.providers: Sequence[Provider] = ()
        self.partner = ""
        self.dry: LiveRun | None = None

    # --- the file -----------------------------------------------------------------------------------

    async def open(self, file: InputFile | str, name: str) -> None:
        """Open a file: one of this machine by its path, or its bytes."""
        async with self._changing("Reading the file"):
            self.close()
            self._forget()
            self.run = None
            self.choices = replace(
                self.choices, sheets=(), header_row=None, hidden=None, encoding=None, mapping={}
            )
            self.file, self.name = file, name
            try:
                await self._read()
            except InputError:  # without a table yet, a person can still choose sheet and header
                self.first = await asyncio.to_thread(first_rows, file, None)
                if not self._has_several_sheets():
                    raise

    async def _read(self) -> None:
        """Read the file by the choices, find its columns and check it."""
        self.close()
        self.grid = self.validation = None
        if self.file is None:
            return
        self.source = await asyncio.to_thread(library.opened, self.file, self.choices)
        self.first = await asyncio.to_thread(library.first_lines, self.source, self.file, self.choices)
        if self.choices.header_row is None and holds_data(self.source.header):
            self.close()
            self.choices = replace(self.choices, header_row=0)
            self.source = await asyncio.to_thread(library.opened, self.file, self.choices)
        names = self.source.description.sheets
        read = [sheet for sheet in self.first if sheet.sheet in names or not sheet.sheet]
        self.grid = await asyncio.to_thread(Grid, self.source, read, self.choices.header_row)
        await self._map()
        await self._check()

    def _has_several_sheets(self) -> bool:
        return sum(sheet.is_visible and sheet.has_growers for sheet in self.first) > 1

    async def _map(self) -> None:
        """Find the columns of the fields: as saved for this header, else by name, else a guess."""
        if (grid := self.grid) is None or self.source is None:
            return
        settings = library.settings_of(self.choices, offline=True)
        reading = await asyncio.to_thread(reading_of, self._corrected(), settings)
        self.providers = reading.providers
        rows = list(zip(*(grid.sample(at) for at in range(len(grid.header))), strict=True))[:SAMPLED]
        fields = [field["name"] for field in self.fields()]
        needed = [field["name"] for field in self.fields() if field["required"]]
        columns: dict[str, Guess | None] = {**library.guesses(grid.header, rows, fields, needed)}
        if self.choices.header_row != 0 and (earlier := saved.find(self.source.header)):
            self.partner = earlier.partner
            places = columns_by_name(grid.header, earlier.mapping.values())
            why = f"saved for {earlier.partner}"
            columns |= {n: Guess(places[c], why) for n, c in earlier.mapping.items() if c in places}
        self.columns = columns | {name: at for name, at in self.columns.items() if name in fields}
        self._use_columns()

    def _use_columns(self) -> None:
        if self.grid is None:
            return
        header = self.grid.header
        own = columns_by_name(header, self.columns)
        # A column with the name of a field is that field, unless another one is chosen for it.
        self.columns |= {name: Guess(at, "") for name, at in own.items() if not self.columns[name]}
        chosen = {name: guess.column for name, guess in self.columns.items() if guess}
        mapping = {name: header[at] for name, at in chosen.items() if own.get(name) != at}
        self.choices = replace(self.choices, mapping=mapping)

    async def _check(self) -> None:
        if self.source is None or self.unmapped():
            self.validation, self.repairs = None, {}
            return
        source = self._corrected()
        try:
            validation = await asyncio.to_thread(library.checked, source, self.choices)
        except BulkOnboardError:
            self.validation, self.repairs = None, {}
            raise
        repairs = await asyncio.to_thread(library.certain_repairs, source, validation)
        self.validation, self.repairs = validation, repairs

    def _corrected(self) -> Source:
        """Return the source as the person left it: a copy of the corrections, which may go on changing."""
        if self.source is None or self.grid is None:
            raise UsageError("there is no file yet")
        cells, left_out = self.corrections
        if not (cells or left_out) and self.grid.header == self.source.header:
            return self.source
        return Corrected(self.source, dict(cells), set(left_out), self.grid.header)

    def fields(self) -> list[dict[str, Any]]:
        """Return what the file may have columns for, in the order of the providers' tables."""
        fields = {LEAF_USER_ID: ("the grower's id at Leaf", not self.choices.create_users, False, "grower")}
        if self.choices.create_users:
            optional = ("finds the grower's Leaf user", False, False, "grower")
            fields |= dict.fromkeys(map(str, UserKey), optional)
        for provider in self.providers:
            for item in provider.fields:
                required = item.required and item.scope.value == "grower"
                fields.setdefault(item.name, (item.help, required, item.secret, item.scope.value))
        return [
            {"name": name, "help": text, "required": required, "secret": secret, "scope": scope}
            for name, (text, required, secret, scope) in fields.items()
        ]

    def unmapped(self) -> list[str]:
        """Return the fields that need a column and have none."""
        return [f["name"] for f in self.fields() if f["required"] and not self.columns.get(f["name"])]

    # --- choices and corrections --------------------------------------------------------------------

    async def choose(self, changes: Mapping[str, Any]) -> None:
        """Change some of the choices, as the page names them."""
        async with self._changing("Checking the file"):
            entered = {**self.choices.entered, **_secrets(changes.get("entered", {}))}
            entered = {name: secret for name, secret in entered.items() if secret}
            simple = {name: _choice(name, value) for name, value in changes.items() if name in _SIMPLE}
            self.choices = replace(self.choices, **simple, entered=entered)
            if simple.keys() & {"sheets", "header_row"}:
                self.columns, self.corrections = {}, Corrections({}, set())
            if simple.keys() & _READING:
                await self._read()
                return
            if isinstance(column := changes.get("column"), dict):
                self._choose_column(str(column["field"]), column["column"])
            if simple.keys() & {"provider", "create_users"}:
                await self._map()
            if simple.keys() & _CHECKING or column:
                await self._check()

    def _choose_column(self, field: str, column: int | None) -> None:
        header = self.grid.header if self.grid else ()
        if field not in {f["name"] for f in self.fields()} or column not in {None, *range(len(header))}:
            raise UsageError("there is no such field or column")
        self.columns[field] = None if column is None else Guess(column, "chosen by you")
        self._use_columns()

    async def edit(self, cells: Sequence[Mapping[str, Any]]) -> None:
        """Correct cells; a text of None takes a correction back."""
        async with self._changing("Checking the file"):
            for cell in cells:
                row, column, text = int(cell["row"]), int(cell["column"]), cell["text"]
                if self.grid is None or not self.grid.has(row, column):
                    raise UsageError(f"there is no cell {column} in row {row}")
                if text is None or str(text) == self.grid.text(row, column):
                    self.corrections.cells.pop((row, column), None)
                else:
                    self.corrections.cells[row, column] = str(text)
            await self._check()

    async def leave_out(self, row: int, *, out: bool) -> None:
        """Leave a row out of what is sent, or take it in again."""
        async with self._changing("Checking the file"):
            (self.corrections.left_out.add if out else self.corrections.left_out.discard)(row)
            await self._check()

    async def repair(self) -> None:
        """Repair all cells that need no guess."""
        async with self._changing("Repairing"):
            self.corrections.cells.update(self.repairs)
            await self._check()

    async def save_mapping(self, partner: str) -> None:
        """Save the mapping for files with this header."""
        async with self._changing("Saving"):
            if self.source is not None and self.grid is not None:
                own, header = self.source.header, self.grid.header
                # A name that is not shown may be a secret, which is not written to a file.
                is_hidden = any(not at.startswith(name) for name, at in zip(own, header, strict=True))
                if self.choices.header_row == 0 or is_hidden:
                    raise UsageError("a file without column names cannot be recognised again")
                mapping = {name: header[guess.column] for name, guess in self.columns.items() if guess}
                saved.save(saved.Saved(partner.strip(), tuple(own), mapping))
                self.partner = partner.strip()

    @asynccontextmanager
    async def _changing(self, what: str) -> AsyncIterator[None]:
        """Context manager of a change: one at a time, none during a run; an error is shown on the page."""
        async with self._lock:
            if self.running:
                raise UsageError("a run is in progress; wait for its end, or stop it")
            self.error, self.dry = "", None
            with self._showing(what):
                try:
                    yield
                except BulkOnboardError as error:
                    self.error = str(error)

    @contextmanager
    def _showing(self, what: str) -> Iterator[None]:
        """Show what is being done."""
        self.busy = what
        self.version += 1
        try:
            yield
        finally:
            self.busy = ""
            self.version += 1

    # --- what is seen of the cells ------------------------------------------------------------------

    def rows(self, start: int, count: int, code: str = "", search: str = "") -> dict[str, Any]:
        """Return a window of the lines. ``code``: only rows with it, "!" for all with a problem."""
        if (grid := self.grid) is None:
            return {"total": 0, "lines": []}
        secret = self.secret_columns()
        positions = grid.matching(self._rows_of(code), search, secret)
        window = positions[max(0, start) : max(0, start) + min(count, WINDOW)]
        lines = grid.window(window, self.corrections, self.validation, secret)
        return {"total": len(positions), "lines": lines}

    def secret_columns(self) -> list[int]:
        """Return the positions of the columns that hold secret fields."""
        secret = {f["name"] for f in self.fields() if f["secret"]}
        return [guess.column for name, guess in self.columns.items() if guess and name in secret]

    def _rows_of(self, code: str) -> np.ndarray | None:
        if not code or self.validation is None:
            return None
        if code == "changed":
            return np.array(
                [row for row, _ in list(self.corrections.cells)] + list(self.corrections.left_out)
            )
        if code == "skipped":
            return np.array([line.row for line in self.validation.description.skipped_lines])
        table, cleaned = self.validation.table, self.validation.cleaned
        if code == "!":
            return table["row"].to_numpy(np.int64)
        with_code = [lines.loc[lines["code"] == code, "row"] for lines in (table, cleaned)]
        return np.concatenate([rows.to_numpy(np.int64) for rows in with_code])

    def cell(self, row: int, column: int) -> str:
        """Return one cell in full, also a secret: a person asked to see it."""
        if self.grid is None or not self.grid.has(row, column):
            raise UsageError(f"there is no cell {column} in row {row}")
        return self.corrections.cells.get((row, column), self.grid.text(row, column))

    # --- runs ---------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run or a dry run is in progress."""
        return any(live and not live.ended for live in (self.dry, self.run))

    def start(self, *, dry: bool) -> None:
        """Start a run or a dry run."""
        if self.running or self._lock.locked():
            raise UsageError("a run or a check is in progress already")
        if self.validation is None:
            raise UsageError("the file cannot be used yet; choose its columns first")
        live = LiveRun(StopSignal(), dry=dry)
        self.dry, self.run = (live, None) if dry else (self.dry, live)
        self._task = asyncio.create_task(self._drive(live, self._corrected(), self.choices))

    async def _drive(self, live: LiveRun, source: Source, choices: Choices) -> None:
        try:
            live.result = await library.run(source, choices, live)
        except BulkOnboardError as error:
            live.error = str(error)
        except Exception as error:  # not its message, which may quote a row
            live.error = f"a bug in bulk-onboard: {type(error).__name__} at {place_of(error)}"
        self.version += 1

    async def finish(self) -> None:
        """Return when no run is in progress."""
        if self._task:
            await self._task

    def results(self, start: int, count: int, status: str = "", *, dry: bool) -> dict[str, Any]:
        """Return a window of the rows' outcomes."""
        live = self.dry if dry else self.run
        if live is None or live.result is None:
            return {"total": 0, "lines": []}
        table = live.result.table
        if status:
            table = table[(table["status"] == status) | (table["health"] == status)]
        window = table[[n for n in _RESULT_COLUMNS if n in table]].iloc[start : start + min(count, WINDOW)]
        return {"total": len(table), "lines": window.astype(str).replace("<NA>", "").to_dict("records")}

    # --- files to download --------------------------------------------------------------------------

    async def download(self, kind: str) -> tuple[str, bytes]:
        """Return a file by its kind: its name and its bytes."""
        if kind in {"marked", "repaired"}:
            if self.validation is None:
                raise UsageError("the file has not been checked yet")
            source, validation, stem = self._corrected(), self.validation, Path(self.name).stem
            if kind == "repaired":
                name = library.repaired_name(self.name)
                return name, await asyncio.to_thread(library.repaired_csv, source, validation)
            name = f"{stem}-marked.xlsx"
            parts = source, validation, name, self.choices
            with self._showing("Writing the workbook"):
                return name, await asyncio.to_thread(library.marked_workbook, *parts)
        live = self.dry if kind == "plan" else self.run or self.dry
        files = live.result.files if live and live.result else ()
        path = next((file for file in files if file.stem == kind), None)
        if path is None:
            raise UsageError(f"there is no {kind} yet")
        return path.name, await asyncio.to_thread(path.read_bytes)

    # --- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the file."""
        if self.source is not None:
            self.source.close()
        self.source = None


_SIMPLE = _READING | _CHECKING | {"sandbox", "if_exists", "rate"}


def _choice(name: str, value: Any) -> Any:
    """Return a choice in the type that `Choices` has."""
    match name:
        case "sheets":
            return tuple(map(str, value))
        case "header_row":
            return None if value is None else int(value)
        case "sandbox" | "allow_shared_tokens" | "create_users":
            return bool(value)
        case "rate":
            return str(value)
        case _:
            return None if value is None else str(value)


def _secrets(entered: Mapping[str, Any]) -> dict[str, Secret]:
    return {str(name): Secret(str(text).strip()) for name, text in entered.items()}
