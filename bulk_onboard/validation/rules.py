"""The rules for one cell, by the kind of its field. Pure.

A rule names what is wrong with a text, or nothing. For a token, a finding makes the row invalid;
for a text that a person chose (a user name, a password) it is a warning, and nothing is changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bulk_onboard.validation import words
from bulk_onboard.validation.cleaning import PLAIN_SPACES, QUOTES, REMOVED, clean
from bulk_onboard.validation.numbers import number_or_date
from bulk_onboard.validation.stand_ins import stand_in


class Finding(NamedTuple):
    """``text`` completes a sentence that begins with the name of the column; it holds no secret."""

    code: str
    text: str


class Cell(NamedTuple):
    """A cell after checking: the value as it is sent, what makes its row invalid, and warnings."""

    value: str
    problem: Finding | None = None
    warnings: tuple[Finding, ...] = ()


# --- rules: text -> what is wrong with it, "" for nothing -------------------------------------------

Rule = Callable[[str], str]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\u2028": "a line break"}


def control_character(text: str) -> str:
    """Control characters, which no token contains."""
    if not (found := _CONTROL.search(text)):
        return ""
    name = _CONTROL_NAMES.get(found[0], f"the control character U+{ord(found[0]):04X}")
    return f"has {name} inside, at position {found.start() + 1}"


def odd_character(text: str) -> str:
    """Characters other than printable ASCII, of which tokens consist (RFC 6749, A.17)."""
    odd = [(at, c) for at, c in enumerate(text, 1) if not " " <= c <= "~"]
    if not odd:
        return ""
    at, first = odd[0]
    more = f" and {len(odd) - 1} more like it" if len(odd) > 1 else ""
    return f"has {character(first)} at position {at}{more}, which no token contains"


def character(c: str) -> str:
    """A character by its code point and its Unicode name."""
    return f"U+{ord(c):04X} {unicodedata.name(c, 'without a name')}"


# In capitals, in every language: #REF!, #NV, #ДЕЛ/0!, #¿NOMBRE?, #NENÍ_K_DISPOZICI, #N/A Requesting Data...
_ERROR = re.compile(r"#(?! )(?:[^\W\d_]|[¡¿/_. ]|(?<=[/.])0)+[!?]?")
_ERROR_FORMS = re.compile(
    r"##+|#[^\w\s]?[^\W\d][^\d]*(?:/0)?[!?]|#N/A\b.*"
    rf"|(?:{words.ERROR_PREFIXES})\.?\s?(?:[.:]\s?[0-9]{{3}}|[ #]?20[0-9]{{2}})",
    re.IGNORECASE,
)


def spreadsheet_error(text: str) -> str:
    """Errors as spreadsheets in any language write them."""
    capitals = text == text.upper() and _ERROR.fullmatch(text) and any(map(str.isalpha, text))
    if capitals or _ERROR_FORMS.fullmatch(text) or text.rstrip("!?").casefold() in words.ERROR:
        return "shows a spreadsheet error"
    return ""


_FORMULA = re.compile(
    r"""=\s*[-+(]*(?:[A-Za-z_.]+[0-9]*\(|\$?[A-Za-z]{1,3}\$?[0-9]+\b|'?[^'!]+'?!|["\[@{]).*""", re.DOTALL
)


def formula_text(text: str) -> str:
    """The text of a formula in place of its result."""
    return "holds the text of a formula, not its result" if _FORMULA.fullmatch(text) else ""


_SCHEME = re.compile(
    rf"(?:authorization\s*:\s*)?({words.SCHEMES}|(?:refresh|access|id|bearer)[_ -]?token)[\s:=]+\S.*",
    re.IGNORECASE | re.DOTALL,
)
_LABEL = re.compile(
    r"""["'{(\[<\s]*([^\W\d][\w .'-]{0,40}?)["']?\s*(:=|=>|->|[:=\uff1a])(\s*)(?=[^=\s])(.+)""", re.DOTALL
)
_LABEL_INSIDE = re.compile(r"""(?:refresh|access|id|bearer)[_ -]?token["']?\s*[:=]""", re.IGNORECASE)
_URL = re.compile(
    r"[a-z][a-z0-9+.-]{1,20}://.*|(?:www\.|\?\w+=|mailto:|data:|javascript:|urn:|[a-z]:\\|\\\\[\w.-]+\\).+",
    re.IGNORECASE | re.DOTALL,
)
_LITERAL = re.compile(r"""([bBuUrRfFnNeExX@$]{1,2})(["']).*\2""", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_][\w.:$]*)\s?(?:\(.*\)|\[.*\])", re.DOTALL)
_MARKDOWN = re.compile(r"(\*{1,3}|_{2,3}|~~|`+).+\1|!?\[.*\]\(.*\)", re.DOTALL)
_LIST_MARK = re.compile(r"(?:[-*+>\u2022\u2013\u2014]|[0-9]{1,2}[.)])\s+\S.*", re.DOTALL)
_REMARK = re.compile(r"\S+\s+(?:\(.*\)|(?:#|//|--\s).*|\|\s.*)|\S+[,;]\s+\S.*", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")
_BRACKETS = {"{": "}", "[": "]", "(": ")", "<": ">"}


def wrapper(text: str) -> str:
    """What surrounds the token in a cell that holds more than the token."""
    if found := _SCHEME.fullmatch(text):
        return f'has the word "{found[1]}" before the token'
    if _URL.fullmatch(text):
        return "is a URL or a file path, not only a token"
    if (found := _LITERAL.fullmatch(text)) or re.match(r"\{\s*[\"']|\[\s*[\"'{]", text):
        return (
            f"is written as {found[1]}'…', as a program prints it" if found else "is JSON, not only a token"
        )
    if label := _label(text):
        return label
    if _TAG.search(text):
        return "has an HTML or XML tag around it"
    if _BRACKETS.get(text[0]) == text[-1]:
        return f"is enclosed in {text[0]}…{text[-1]}"
    if found := _CALL.fullmatch(text):
        name = found[1] if re.fullmatch(r"[A-Za-z_.]{1,30}", found[1]) else "name"
        return f"is written as {name}(…), as a program prints it"
    return _marks(text)


def _label(text: str) -> str:
    if _LABEL_INSIDE.search(text):
        return "has a label such as refresh_token= before it"
    if not (found := _LABEL.fullmatch(text)):
        return ""
    label, sign, space, rest = found.groups()
    known = any(
        word in words.LABELS and (space or len(word) > 2) for word in words.folded(_spaced(label)).split()
    )
    # Base64 may end with "=", and a token may have ":" inside: only what is surely a label counts.
    sure = space or (sign != ":" and re.fullmatch(r"[A-Za-z_ .'-]+", label) and not re.match("3[dD]", rest))
    return "has a label before it, such as token:" if known or sure else ""


def _spaced(name: str) -> str:
    """refreshToken -> refresh Token."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[a-z])(?=token|key|secret)", " ", name)


def _marks(text: str) -> str:
    if _MARKDOWN.fullmatch(text):
        return "has Markdown marks around it"
    if _REMARK.fullmatch(text):
        return "has a remark or another value after it"
    if _LIST_MARK.fullmatch(text):
        return "has a list mark before it"
    if text[0] in QUOTES or text[-1] in QUOTES:
        return "has unpaired quotes around it"
    if text[-1] in ",;":
        return f"has a {'comma' if text[-1] == ',' else 'semicolon'} after it"
    return "has an equals sign before it" if text[0] == "=" else ""


def not_a_token(text: str) -> str:
    """What stands in place of a token, and words that say something about it."""
    word = f'is "{text}", a word about the token, not a token' if words.folded(text) in words.CELL else ""
    return stand_in(text) or word


# --- signs of damage: warnings ----------------------------------------------------------------------

_ENCODED = {
    "is encoded for a URL (such as %2F)": re.compile(
        r"%(?:2[0-9A-Fa-f]|3[A-Fa-f]|40|5[B-Eb-e]|60|7[B-Db-d])"  # what is encoded of printable ASCII
    ),
    "is encoded for HTML (&amp; and the like)": re.compile(r"&(?:[A-Za-z]{2,8}|#[0-9]+|#x[0-9A-Fa-f]+);"),
    "is escaped as in JSON (a backslash before / or u)": re.compile(r"\\(?:/|u[0-9A-Fa-f]{4}|n|t|\")"),
    "is encoded as quoted-printable (=3D)": re.compile(r"=3[dD]"),
}
_BASE64_SPACE = re.compile(r"(?=.*[/=+]|.{40})[A-Za-z0-9+/]+(?: [A-Za-z0-9+/]+)+={0,2}")
# A column of a database and a cell of a spreadsheet hold no more characters than this.
_LIMITS = {
    255: "255 characters, the limit of many databases",
    32_767: "32,767 characters, the limit of a spreadsheet cell",
}
_JWT = re.compile(r"eyJ[\w-]*\.[\w.-]*")
_JWT_HEADER = re.compile(r"eyJ(?:hbGciOi|0eXAiOi|raWQiOi|jdHkiOi)[\w-]*")  # {"alg":, "typ":, "kid":, "cty":


def damage(text: str) -> list[Finding]:
    """Signs that a token is not what its provider issued."""
    found = [
        Finding("looks-encoded", f"looks as if it {said}")
        for said, form in _ENCODED.items()
        if form.search(text)
    ]
    if _BASE64_SPACE.fullmatch(text):
        found.append(Finding("looks-encoded", 'has a space inside, as if a "+" had been decoded'))
    elif " " in text:
        found.append(Finding("space-inside", "has a space inside"))
    if limit := _LIMITS.get(len(text)):
        found.append(Finding("looks-cut", f"has exactly {limit}, and may be cut off"))
    if (is_jwt(text) and (text.count(".") < 2 or text.endswith("."))) or _JWT_HEADER.fullmatch(text):
        parts = "third part" if "." in text else "second and third parts"
        found.append(Finding("looks-cut", f"is a JWT without its {parts}, and may be cut off"))
    return found


def is_jwt(text: str) -> bool:
    """Whether a text is a JSON web token: parts separated by dots, the first of which is an object."""
    return _JWT.fullmatch(text) is not None


_WORD = r"(?:[^\W\d_]['\u2019.]?){2,20}"
_NAMES = re.compile(
    rf"{_WORD}(?:[ ,&/]+{_WORD}|-(?-i:[A-Z]){_WORD}|[ ,]+[^\W\d_]\.?)*\.?|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)


def looks_like_a_name(text: str) -> bool:
    """Whether a text looks like a name, plain words or an email address rather than a token."""
    if not _NAMES.fullmatch(text):
        return False
    return all(
        word.islower() or word.istitle() or word.isupper() or "@" in text for word in re.findall(_WORD, text)
    )


# --- a cell -----------------------------------------------------------------------------------------

# What makes a token invalid: the code and the rule; the first that applies.
TOKEN_RULES: tuple[tuple[str, Rule], ...] = (
    ("control-character", control_character),
    ("formula-error", spreadsheet_error),
    ("placeholder-value", not_a_token),
    ("numeric-cell", number_or_date),
    ("formula-without-value", formula_text),
    ("wrapped-value", wrapper),
    ("odd-character", odd_character),
)


_NAME_RULES: tuple[tuple[str, Rule], ...] = (
    ("control-character", control_character),
    ("formula-error", spreadsheet_error),
    ("placeholder-value", partial(stand_in, cautious=True)),
)


def check_token(text: str, formats: str = "", *, secret: bool = True) -> Cell:
    """Check a token. ``formats``: "jwt" or "opaque", if the provider's tokens always are.

    ``secret``: whether it is a secret of the grower; a client ID, for example, may consist of digits only.
    """
    value, removed = clean(text)
    if not value:
        return Cell("")
    for code, rule in TOKEN_RULES:
        if (said := rule(value)) and (secret or code != "numeric-cell" or not value.isdigit()):
            return Cell(value, Finding(code, said), _removed(removed))
    warnings = [*_removed(removed), *damage(value)]
    if formats and is_jwt(value) != (formats == "jwt"):
        said = "is a JWT" if is_jwt(value) else "is not a JWT"
        warnings.append(Finding("other-token-format", f"{said}, unlike all tokens of this provider"))
    return Cell(value, None, tuple(warnings))


def check_text(text: str) -> Cell:
    """Check a text that a person chose: it is sent exactly as typed, so there are only warnings."""
    if not text.strip(PLAIN_SPACES):
        return Cell("")
    warnings = []
    if control_character(text):
        warnings.append(Finding("control-character", f"{control_character(text)}; it is sent as typed"))
    elif spreadsheet_error(text):
        warnings.append(Finding("formula-error", "looks like a spreadsheet error; it is sent as typed"))
    elif stand_in(text, cautious=True):
        warnings.append(
            Finding("placeholder-value", "looks like a placeholder or a missing value; it is sent as typed")
        )
    if _is_misread(text):
        said = "looks as if UTF-8 was read in another encoding (Ã¤ instead of ä); it is sent as typed"
        warnings.append(Finding("looks-encoded", said))
    if clean(text)[1] or "\ufffd" in text:
        said = "has spaces, quotes or invisible characters around it, which are sent as typed"
        warnings.append(
            Finding("kept-as-typed", said if clean(text)[1] else "has U+FFFD REPLACEMENT CHARACTER inside")
        )
    return Cell(text, None, tuple(warnings))


def _is_misread(text: str) -> bool:
    try:
        return not text.isascii() and text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def check_name(text: str) -> Cell:
    """Check a text that identifies a Leaf user, such as an email: cleaned, but in any script."""
    value, removed = clean(text)
    for code, rule in _NAME_RULES:
        if value and (said := rule(value)):
            return Cell(value, Finding(code, said), _removed(removed))
    return Cell(value, None, _removed(removed) if value else ())


def _removed(codes: tuple[str, ...]) -> tuple[Finding, ...]:
    return tuple(Finding(code, REMOVED[code]) for code in codes)
