"""The entry point: find the command, run it, and turn its result or exception into an exit code.

Nothing is imported here that ``--help`` does not need; a command's module is imported when it is called.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import click
from click.shell_completion import CompletionItem

import bulk_onboard
from bulk_onboard.errors import BulkOnboardError, ExitCode, HeaderError, place_of

# Command -> (its module, its line in the help). The module's `command` is the click command.
COMMANDS = {
    "run": ("run", "Onboard every row of a file that is not onboarded yet."),
    "validate": ("validate", "Check a file offline; nothing is sent."),
    "ui": ("ui", "Open a page to check, correct and onboard a file."),
    "events": ("events", "Check the events of the growers of a run or file again."),
    "report": ("report", "Rewrite a run's files from the ledger."),
    "rollback": ("rollback", "Delete credentials that a run created and that are unchanged."),
    "runs": ("runs", "List the past runs."),
    "status": ("status", "Show the history of one grower across runs."),
    "providers": ("providers", "Show the providers, their columns and their settings."),
    "template": ("template", "Write an empty file to fill in, with help in its cells."),
    "explain": ("explain", "Explain a code in the results and what to do about it."),
    "sandbox": ("sandbox", "Serve a local imitation of Leaf to practise on."),
}

_EXIT_CODES = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)

_EPILOG = f"""\b
Examples:
  bulk-onboard validate growers.csv
  bulk-onboard run growers.csv --sandbox
  bulk-onboard run growers.csv --provider raven --rate 10

\b
Exit codes:
{_EXIT_CODES}

Running the same command again is always safe: it does only what is left to do.
"""


class _OutputLost(Exception):  # noqa: N818  (a fact about standard output)
    """Standard output cannot be written; ``error`` says why. Unlike an OSError, click lets it pass."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


@contextmanager
def _output_watched() -> Iterator[None]:
    """Turn an OSError from standard output into _OutputLost; other OSErrors pass."""
    try:
        yield
    except OSError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_code is click.echo.__code__:
            raise _OutputLost(error) from None
        raise


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    @_output_watched()
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse as click does; the group's own ``--help`` is printed here."""
        return super().make_context(*args, **kwargs)

    @_output_watched()
    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command as click does."""
        return super().invoke(ctx)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table, which is the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bulk_onboard.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101  (tells mypy what the table promises)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was probably meant."""
        if args[0] not in COMMANDS and args[0][:1].isalpha() and not ctx.resilient_parsing:
            from bulk_onboard.domain.providers import did_you_mean  # noqa: PLC0415  (only a mistyped word needs it)

            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions, from the table alone."""
        items = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items()]
        own = [item for item in items if item.value.startswith(incomplete)]
        return own + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in ``--help``, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bulk_onboard.__version__, prog_name="bulk-onboard", message="%(prog)s %(version)s")
def cli() -> None:
    """Load a file of growers' credentials into Leaf: nothing lost, nothing sent twice."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Never raises, never shows a traceback."""
    _open_closed_streams()
    _never_fail_on_a_character()
    # Arrow's own allocators keep the memory of every thread. With the system's allocator a million rows take
    # a tenth less time and memory. Arrow reads this variable when it is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Imported modules stay, and rows create no reference cycles. With the default threshold the garbage
    # collector took a seventh of the start-up time.
    gc.set_threshold(20_000)
    try:
        with _terminated_as_interrupted():
            code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe, as in `bulk-onboard providers | head -1`: this is not an error.
        _discard_output()
        code = ExitCode.OK
    except OSError as error:
        _discard_output()
        code = _complain(f"standard output cannot be written: {error.strerror or error}", ExitCode.STOPPED)
    return int(code)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Make SIGTERM end the command as Ctrl-C does, even before a run has installed its own handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        result = cli.main(args=list(argv), prog_name="bulk-onboard", standalone_mode=False, obj=list(argv))
    except _OutputLost as lost:
        raise lost.error from None
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except click.ClickException as error:
        return _wrong_usage(error, argv)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted; run it again to continue", ExitCode.INTERRUPTED, argv)
    except BaseException as error:  # the only place that turns exceptions into exit codes
        return _ended_by(_root(error), argv)
    return result if isinstance(result, int) else ExitCode.OK


def _ended_by(error: BaseException, argv: Sequence[str]) -> int:
    if isinstance(error, HeaderError) and error.suggested:
        from bulk_onboard.settings.command_line import with_columns  # noqa: PLC0415

        return _complain(
            f"{error}; if so, {with_columns(argv, error.suggested)}", error.exit_code, argv, end=""
        )
    if isinstance(error, BulkOnboardError) and error.exit_code != ExitCode.BUG:
        return _complain(str(error), error.exit_code, argv)
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return _complain("interrupted; run it again to continue", ExitCode.INTERRUPTED, argv)
    # The message of a foreign exception may quote a row, so only its type and place are shown.
    message = str(error) if isinstance(error, BulkOnboardError) else type(error).__name__
    return _complain(
        f"a bug in bulk-onboard: {message} at {place_of(error)}. Please report this line. "
        "All finished work is in the ledger; running the same command again is safe",
        ExitCode.BUG,
        argv,
    )


def _root(error: BaseException) -> BaseException:
    """Return the error inside an exception group: the first of ours, otherwise the first one."""
    while isinstance(error, BaseExceptionGroup):
        inside: tuple[BaseException, ...] = error.exceptions
        error = next((failure for failure in inside if isinstance(failure, BulkOnboardError)), inside[0])
    return error


def _wrong_usage(error: click.ClickException, argv: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        _complain(error.format_message(), ExitCode.USAGE, argv)
        if context is not None and not _wants_json_log(argv):
            click.echo(f"Try '{context.command_path} --help'.", err=True)
    return ExitCode.USAGE


def _complain(text: str, code: ExitCode, argv: Sequence[str] = (), end: str = ".") -> int:
    """Print an error as text or JSON, as the arguments request, even if they cannot be parsed.

    ``end``: "" for a text that ends with a command to be copied.
    """
    text = text if text.endswith((".", "?")) else f"{text}{end}"
    line = f"bulk-onboard: error: {text}"
    if _wants_json_log(argv):
        line = json.dumps({"fact": "Error", "message": text, "exit_code": int(code)})
    with suppress(OSError):
        click.echo(line, err=True)
    if "--json" in argv:
        with suppress(OSError):
            click.echo(json.dumps({"exitCode": int(code), "error": text}, indent=2))
    return code


def _wants_json_log(argv: Sequence[str]) -> bool:
    return "--log-format=json" in argv or ("--log-format", "json") in pairwise(argv)


def _open_closed_streams() -> None:
    """Redirect closed standard streams to the null device.

    Otherwise the next opened file, such as the ledger, would get the number of standard error.
    `sys.stdin` stays None, so that a command that reads it can report that it is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    for number, name in enumerate(("stdout", "stderr"), 1):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def _never_fail_on_a_character() -> None:
    """Print an escape for a character that the terminal cannot show, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _discard_output() -> None:
    """Redirect standard output to the null device, so that the interpreter can close it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
