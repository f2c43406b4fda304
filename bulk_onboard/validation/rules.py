"""The rules for one cell: a table in ``rules.toml``, the tests that it names, and how a text is checked."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bulk_onboard.validation.spelling import (
    PLAIN_SPACES,
    REMOVED,
    clean,
    describe_character,
    not_a_uuid,
    other_spelling,
)

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
            result: str | bool = _TESTS[self.test](text)
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
    """The plain texts of a kind: texts to which no rule can apply. The expressions are for RE2.

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


# --- tests that a regular expression cannot express ------------------------------------------------------

Test = Callable[[str], str | bool]
_TESTS: dict[str, Test] = {"not_a_uuid": not_a_uuid}


def _test(function: Test) -> Test:
    """Decorator: a function that a rule may name as its test.

    It takes a text and returns whether the rule applies to it, or the end of a sentence about it that begins
    with the name of its column, "" if the rule does not apply.
    """
    _TESTS[function.__name__] = function
    return function


_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


# --- words --------------------------------------------------------------------------------------------


@cache
def _tables() -> Mapping[str, Mapping[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def words_of(*names: str) -> list[str]:
    """Return the words of some lists: ``missing.programs`` names one, ``missing`` all of a table."""
    words: list[str] = []
    for table, _, name in (name.partition(".") for name in names):
        lists = _tables()[table]
        words += lists[name] if name else [word for words_in_list in lists.values() for word in words_in_list]
    return words


def folded(text: str) -> str:
    """Return a text without case, accents and punctuation, its words separated by single spaces."""
    plain = text
    if not text.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", plain.casefold().translate(_LETTERS)).strip()


@cache
def _folded_words(*names: str) -> frozenset[str]:
    """The words of lists with and without the spaces inside: "n.a." is "na"."""
    words = filter(None, map(folded, words_of(*names)))
    return frozenset(form for word in words for form in (word, word.replace(" ", "")))


def _is_one_of(word: str, *names: str) -> bool:
    known = _folded_words(*names)
    return word in known or word.replace(" ", "") in known


@_test
def word_for_nothing(text: str) -> str:
    """A word in place of a value, in any language."""
    meanings = {
        "missing": "a word for a missing value",
        "later": "a word for a value that is still to come",
        "logical": "a word for yes, no, true or false",
        "stand_in": "a placeholder, not a real value",
    }
    word = folded(text)
    messages = (f'is "{text}", {meaning}' for name, meaning in meanings.items() if _is_one_of(word, name))
    return next(messages, "")


@_test
def word_about_a_token(text: str) -> str:
    """A word in the column of tokens that says something about the token."""
    return (
        f'is "{text}", a word about the token, not a token' if folded(text) in _folded_words("cell") else ""
    )


@_test
def missing_value_of_programs(text: str) -> bool:
    """A word that programs write for a missing value, and that is not a name."""
    return _is_one_of(folded(text), "missing.programs", "certain")


@_test
def certain_word_for_nothing(text: str) -> bool:
    """A word in place of a value that is neither a name nor a password."""
    return _is_one_of(folded(text), "missing.programs", "certain", "stand_in")


_NOTE_PART = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.\-])*[,.;:!?]*|[0-9][0-9.:/]*|[-–&(]?[^\W\d_]*\)?")


@_test
def note(text: str) -> bool:
    """Several words, one of which is in the list of words for notes."""
    parts = text.split()
    plain = len(parts) > 1 and all(map(_NOTE_PART.fullmatch, parts))
    return plain and any(folded(part) in _folded_words("note") for part in parts)


_LABEL = re.compile(
    r"""["'{(\[<\s]*([^\W\d][\w .'-]{0,40}?)["']?\s*(:=|=>|->|[:=\uff1a])(\s*)(?=[^=\s])(.+)""", re.DOTALL
)


@_test
def label(text: str) -> bool:
    """A word such as ``token:`` before a value. Base64 may end with "=", and a token may have ":" inside."""
    if not (match := _LABEL.fullmatch(text)):
        return False
    name, sign, space, rest = match.groups()
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[a-z])(?=token|key|secret)", " ", name)
    known = any(
        word in _folded_words("wrapper.labels") and (space or len(word) > 2)
        for word in folded(spaced).split()
    )
    return known or bool(
        space or (sign != ":" and re.fullmatch(r"[A-Za-z_ .'-]+", name) and not re.match("3[dD]", rest))
    )


# In capitals, in every language: #REF!, #NV, #ДЕЛ/0!, #¿NOMBRE?, #NENÍ_K_DISPOZICI, #N/A Requesting Data...
_ERROR = re.compile(r"#(?! )(?:[^\W\d_]|[¡¿/_. ]|(?<=[/.])0)+[!?]?")
_ERROR_FORM = re.compile(r"##+|#[^\w\s]?[^\W\d][^\d]*(?:/0)?[!?]|#N/A\b.*", re.IGNORECASE)


@_test
def spreadsheet_error(text: str) -> bool:
    """An error as spreadsheets in any language write it."""
    in_capitals = text == text.upper() and _ERROR.fullmatch(text) and any(map(str.isalpha, text))
    known = text.rstrip("!?").casefold() in words_of("error.words")
    return bool(in_capitals or _ERROR_FORM.fullmatch(text) or known)


# --- characters ---------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\u2028": "a line break"}


@_test
def control_character(text: str) -> str:
    """A control character, which neither a token nor a name contains."""
    if not (match := _CONTROL.search(text)):
        return ""
    name = _CONTROL_NAMES.get(match[0], f"the control character U+{ord(match[0]):04X}")
    return f"has {name} inside, at position {match.start() + 1}"


@_test
def odd_character(text: str) -> str:
    """A character other than printable ASCII, of which tokens consist (RFC 6749, A.17)."""
    odd = [(at, c) for at, c in enumerate(text, 1) if not " " <= c <= "~"]
    if not odd:
        return ""
    at, first = odd[0]
    more = f" and {len(odd) - 1} more like it" if len(odd) > 1 else ""
    return f"has {describe_character(first)} at position {at}{more}, which no token contains"


@_test
def misread(text: str) -> bool:
    """UTF-8 that was read in Windows-1252."""
    try:
        return not text.isascii() and text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


@_test
def surrounded(text: str) -> bool:
    """A text with something around it that would be removed from a token."""
    return clean(text)[0] != text


# --- ids ----------------------------------------------------------------------------------------------


@_test
def example_id(text: str) -> bool:
    """A UUID from documentation."""
    return text.casefold() in words_of("example_ids")


@_test
def other_spelling_of_id(text: str) -> str:
    """A UUID in another spelling than the usual one."""
    other = other_spelling(text) if not_a_uuid(text) else None
    return f"is a UUID in another spelling: it {other.differences}" if other else ""
