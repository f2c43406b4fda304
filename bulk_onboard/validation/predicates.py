"""What a regular expression cannot say about a cell: words in many languages (``words.toml``), characters.

The rules in ``rules.toml`` name these functions. A function takes a text and returns whether a rule applies
to it, or the end of a sentence about it that begins with the name of its column, "" if it does not.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bulk_onboard.validation.cleaning import clean
from bulk_onboard.validation.ids import describe_character, not_a_uuid, other_spelling

__all__ = ["not_a_uuid"]  # named by rules.toml

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


def word_about_a_token(text: str) -> str:
    """A word in the column of tokens that says something about the token."""
    return (
        f'is "{text}", a word about the token, not a token' if folded(text) in _folded_words("cell") else ""
    )


def missing_value_of_programs(text: str) -> bool:
    """A word that programs write for a missing value, and that is not a name."""
    return _is_one_of(folded(text), "missing.programs", "certain")


def certain_word_for_nothing(text: str) -> bool:
    """A word in place of a value that is neither a name nor a password."""
    return _is_one_of(folded(text), "missing.programs", "certain", "stand_in")


_NOTE_PART = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.\-])*[,.;:!?]*|[0-9][0-9.:/]*|[-–&(]?[^\W\d_]*\)?")


def note(text: str) -> bool:
    """Several words, one of which is in the list of words for notes."""
    parts = text.split()
    plain = len(parts) > 1 and all(map(_NOTE_PART.fullmatch, parts))
    return plain and any(folded(part) in _folded_words("note") for part in parts)


_LABEL = re.compile(
    r"""["'{(\[<\s]*([^\W\d][\w .'-]{0,40}?)["']?\s*(:=|=>|->|[:=\uff1a])(\s*)(?=[^=\s])(.+)""", re.DOTALL
)


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


def spreadsheet_error(text: str) -> bool:
    """An error as spreadsheets in any language write it."""
    in_capitals = text == text.upper() and _ERROR.fullmatch(text) and any(map(str.isalpha, text))
    known = text.rstrip("!?").casefold() in words_of("error.words")
    return bool(in_capitals or _ERROR_FORM.fullmatch(text) or known)


# --- characters ---------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\u2028": "a line break"}


def control_character(text: str) -> str:
    """A control character, which neither a token nor a name contains."""
    if not (match := _CONTROL.search(text)):
        return ""
    name = _CONTROL_NAMES.get(match[0], f"the control character U+{ord(match[0]):04X}")
    return f"has {name} inside, at position {match.start() + 1}"


def odd_character(text: str) -> str:
    """A character other than printable ASCII, of which tokens consist (RFC 6749, A.17)."""
    odd = [(at, c) for at, c in enumerate(text, 1) if not " " <= c <= "~"]
    if not odd:
        return ""
    at, first = odd[0]
    more = f" and {len(odd) - 1} more like it" if len(odd) > 1 else ""
    return f"has {describe_character(first)} at position {at}{more}, which no token contains"


def misread(text: str) -> bool:
    """UTF-8 that was read in Windows-1252."""
    try:
        return not text.isascii() and text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def surrounded(text: str) -> bool:
    """A text with something around it that would be removed from a token."""
    return clean(text)[0] != text


# --- ids ----------------------------------------------------------------------------------------------


def example_id(text: str) -> bool:
    """A UUID from documentation."""
    return text.casefold() in words_of("example_ids")


def other_spelling_of_id(text: str) -> str:
    """A UUID in another spelling than the usual one."""
    other = other_spelling(text) if not_a_uuid(text) else None
    return f"is a UUID in another spelling: it {other.differences}" if other else ""
