"""Command lines to show to people, without secrets: the one that ran, and suggested ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from bulk_onboard.domain.input_description import printable, url_scheme
from bulk_onboard.settings import SETTINGS

_MAP = "--map"
# The values of these options may contain a secret, and messages end up in logs.
_SECRET = ("--notify", "--ping", "--ledger")
_HIDDEN = "..."
# Options about the form of a file; a copy in another form does not need them.
_OF_FORM = ("sheet", "header_row", "hidden", "encoding")


def command(verb: str, file: str, options: Mapping[str, object], *more: str) -> str:
    """Return a command for a file. ``options``: option name -> value.

    Empty values are left out. ``more``: options as they are typed.
    """
    path = f"./{file}" if file.startswith("-") and file != "-" else file  # not an option
    return " ".join(["bulk-onboard", verb, *map(_quoted, [path, *_words(options), *more])])


def check_and_run(file: str, options: Mapping[str, object], *, same_form: bool) -> tuple[str, str]:
    """Return the commands that check and run an annotated copy of a file.

    ``same_form``: the copy has the sheets of the original.
    """
    kept = {name: value for name, value in options.items() if same_form or name not in _OF_FORM}
    return command("validate", file, kept), command("run", file, kept)


def _words(options: Mapping[str, object]) -> Iterator[str]:
    for setting in SETTINGS:
        match options.get(setting.option):
            case None | False | "":
                pass
            case True:
                yield setting.flag
            case Mapping() as pairs:
                yield from (word for name, text in pairs.items() for word in (setting.flag, f"{name}={text}"))
            case tuple() as several:
                yield from (word for text in several for word in (setting.flag, text))
            case value:
                yield from (setting.flag, str(value))


def _quoted(word: str) -> str:
    """Return a word quoted for a shell; double quotes work in all shells, including those of Windows."""
    if re.fullmatch(r"[\w@%+=:,./\\-]+", word):
        return word
    return f'"{word}"' if not set(word) & set('"$`\\!') else shlex.quote(word)


def without_secrets(arguments: Sequence[str]) -> str:
    """Return a command line as it was typed, with ``...`` for values that may contain a secret.

    An address may contain a password, a key or a signature.
    """
    words, option = ["bulk-onboard"], ""
    for text in arguments:
        name, equals, value = text.partition("=") if text.startswith("--") else (option, "", text)
        if text.startswith("--") and not equals:
            words.append(text)
            option = text
            continue
        words.append(f"{name}={_shown(name, value)}" if equals else _shown(name, value))
        option = ""
    return " ".join(words)


def _shown(option: str, value: str) -> str:
    is_path = option == "--ledger" and url_scheme(value) is None
    is_hidden = url_scheme(value) is not None or (option in _SECRET and not is_path)
    return _HIDDEN if is_hidden else shlex.quote(printable(value))


def with_columns(arguments: Sequence[str], columns: Mapping[str, str]) -> str:
    """Return the advice for using ``columns`` (field -> column): a command to run, or options to add.

    ``arguments``: those of the command that failed. A --map of the same fields is replaced.
    """
    added = [text for field, column in columns.items() for text in (_MAP, f"{field}={column}")]
    if any(text.startswith(_SECRET) for text in arguments):
        return f"add: {shlex.join(added)}"
    from bulk_onboard.validation.columns import normalize  # noqa: PLC0415  (pandas comes with it)

    fields, others = {normalize(field) for field in columns}, []
    remaining = iter(arguments)
    for text in remaining:
        option = [text, next(remaining, "")] if text == _MAP else [text]
        value = option[-1].removeprefix(f"{_MAP}=") if text.startswith(_MAP) else ""
        if normalize(value.partition("=")[0]) not in fields:
            others += option
    end = others.index("--") if "--" in others else len(others)
    return f"run: {shlex.join(['bulk-onboard', *others[:end], *added, *others[end:]])}"
