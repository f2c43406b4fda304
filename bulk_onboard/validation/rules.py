"""The rules for one cell: a table in ``rules.toml``, and how a text is checked by it. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bulk_onboard.validation import predicates
from bulk_onboard.validation.cleaning import PLAIN_SPACES, REMOVED, clean
from bulk_onboard.validation.predicates import words_of

SENT_AS_TYPED = "it is sent as typed"


class Finding(NamedTuple):
    """``text`` completes a sentence that begins with the name of the column; it holds no secret."""

    code: str
    text: str


class Cell(NamedTuple):
    """A cell after checking: the value as it is sent, what makes its row invalid, and warnings."""

    value: str
    problem: Finding | None = None
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``rules.toml``, where the fields are described."""

    code: str
    kinds: tuple[str, ...]
    words: str = ""
    pattern: str = ""
    length: int = 0
    test: str = ""
    like: str = ""
    warning: bool = False
    plain: str | None = None
    short: bool = False
    fold: bool = False
    format: str = ""

    def find(self, text: str) -> str:
        """Return what is wrong with a text, "" if the rule does not apply."""
        if self.test:
            result: str | bool = getattr(predicates, self.test)(text)
            return result if isinstance(result, str) else self.words if result else ""
        if self.pattern:
            match = _compiled(self.pattern).fullmatch(_folded(text) if self.fold else text)
            if match and "{1}" in self.words:
                return self.words.replace("{1}", match[1])
            return self.words if match else ""
        applies = find_problem(text, self.like) if self.like else len(text) == self.length
        return self.words if applies else ""


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _with_parts(pattern: str) -> str:
    """A pattern with the parts and the words that it names."""
    parts = _table()["parts"]
    while names := re.findall(r"@([a-z][a-z0-9_]*(?:\.[a-z]+)?)@", pattern):
        for name in names:
            words = sorted(map(re.escape, words_of(name)), key=len, reverse=True) if "." in name else ()
            pattern = pattern.replace(f"@{name}@", "|".join(words) or parts[name])
    return pattern


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_with_parts(pattern), re.VERBOSE)


def _folded(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", "".join(str(unicodedata.decimal(c, c)) for c in text))


@cache
def rules_of(kind: str, format_: str = "") -> tuple[Rule, ...]:
    """Return the rules for a kind of field, and a format of tokens, in their order."""
    rules = (Rule(**{**entry, "kinds": tuple(entry["kinds"])}) for entry in _table()["rules"])
    return tuple(rule for rule in rules if kind in rule.kinds and rule.format in {"", format_})


def find_problem(text: str, kind: str, format_: str = "") -> Finding | None:
    """Return what makes a clean text unusable as a value of this kind."""
    for rule in rules_of(kind, format_):
        if not rule.warning and (words := rule.find(text)):
            return Finding(rule.code, words)
    return None


def check_cell(text: str, kind: str, format_: str = "", *, secret: bool = True) -> Cell:
    """Check a text of a kind: "token", "text", "user" or "id".

    ``format_``: "jwt" or "opaque", if the provider's tokens always are. ``secret``: whether it is a secret of
    the grower; a client ID, for example, may consist of digits only.
    """
    value, removed = (text, ()) if kind == "text" else clean(text)
    if not value.strip(PLAIN_SPACES):
        return Cell("")
    problem = find_problem(value, kind, format_)
    if problem and problem.code == "numeric-cell" and value.isdigit() and not secret:
        problem = None
    cleaned = tuple(Finding(code, REMOVED[code]) for code in removed)
    if problem and kind != "text":
        return Cell(value, problem, cleaned)
    hits = ((rule.code, rule.find(value)) for rule in rules_of(kind, format_) if rule.warning)
    warnings = [Finding(code, words) for code, words in hits if words]
    if kind != "text":
        return Cell(value, None, (*cleaned, *warnings))
    problems = [problem, *warnings] if problem else warnings
    return Cell(value, None, tuple(Finding(code, f"{words}; {SENT_AS_TYPED}") for code, words in problems))


class Plain(NamedTuple):
    """Which texts of a kind are plain: those that no rule can apply to. Expressions are of RE2.

    ``texts``: plain texts, but for those that ``exceptions`` or ``short_exceptions`` match (of rules that are
    marked as short) or that have one of ``lengths``.
    """

    texts: str
    exceptions: str
    short_exceptions: str
    lengths: list[int]


def _plain_pattern(rule: Rule) -> str:
    """The expression for plain texts, or else the pattern without verbose spaces and comments."""
    pattern = re.sub(r"\s+(?:#.*)?", "", rule.pattern) if rule.plain is None else rule.plain
    return f"(?:{_with_parts(pattern)})" if pattern else ""


@cache
def plain(kind: str, format_: str = "") -> Plain:
    """Return which texts of a kind are plain."""
    own = rules_of(kind, format_)
    rules = [*own, *(rule for own_rule in own if own_rule.like for rule in rules_of(own_rule.like))]
    long, short = (
        "|".join(_plain_pattern(rule) for rule in rules if rule.short == short and _plain_pattern(rule))
        for short in (False, True)
    )
    lengths = [rule.length for rule in rules if rule.length]
    return Plain(f"^(?:{_with_parts(_table()['plain'][kind])})$", f"^(?:{long})$", f"^(?:{short})$", lengths)


_WORD = r"(?:[^\W\d_]['\u2019.]?){2,20}"
_NAMES = re.compile(
    rf"{_WORD}(?:[ ,&/]+{_WORD}|-(?-i:[A-Z]){_WORD}|[ ,]+[^\W\d_]\.?)*\.?|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)


def looks_like_a_name(text: str) -> bool:
    """Return whether a text looks like a name, plain words or an email address rather than a token."""
    if not _NAMES.fullmatch(text):
        return False
    return all(
        word.islower() or word.istitle() or word.isupper() or "@" in text for word in re.findall(_WORD, text)
    )
