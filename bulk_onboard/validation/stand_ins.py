"""What programs and people write in place of a value: words, template variables, objects, notes. Pure."""

from __future__ import annotations

import re

from bulk_onboard.validation import words

_TEMPLATE = re.compile(
    r"""[$\#%]\{[\w.\- ]*\}|\{\{[^{}]*\}\}|\{[A-Za-z_ ]+\}   # ${TOKEN}, {{ token }}, {token}
    |<%.*%>|%[A-Za-z_]+%|\$[A-Za-z_]\w*|\$\(.*\)          # %TOKEN%, $TOKEN
    |@[A-Z_]+@|\[\[.*\]\]|:[a-z_]+|__[A-Z_]+__""",
    re.VERBOSE,
)
_ASKING = re.compile(
    r"(?:your|insert|enter|replace|fill|to be|dein|deine|ihr|votre|twój|váš)[-_ ].+"
    r"|(?:my|the|add|paste|put|copy|type|use|ton|tu|su|seu|tuo|uw|jouw|din|ditt)[-_ ](?:.*[-_ ])?"
    r"(?:token|key|secret|password|value|here|jeton|clave|chave|chiave|sleutel|nyckel)\b.*",
    re.IGNORECASE,
)
_PYTHON = r"object|class|function|method|module|generator|coroutine|iterator|bound|built-in"
_OBJECT = re.compile(
    rf"""\[[A-Za-z][A-Za-z.]*(?:[ :][A-Za-z :]*)?\]                  # [object Promise], [DataFormat.Error]
    |<[^<>]*\b(?:at\ 0x[0-9a-fA-F]+|{_PYTHON})\b.*>|\#<[^<>]*>          # <list object at 0x7f>, #<Object:0x5>
    |<[A-Za-z:_\ .!-]+>                                               # <null>, <your token>
    |(?:{words.PACKAGES})(?:\.[A-Za-z_$][\w$`]*)+(?:[\[<(].*[\])>])?  # System.String[], java.lang.Object
    |\[*(?:[A-Za-z_$][\w$]*\.)*(?:\[+[A-Z]|L?[A-Z][\w$.]*;?)@[0-9a-f]{{4,16}}   # java.lang.Object@1b6d3586
    |[A-Z]{{3,}}(?:::\w+)*(?:=[A-Z]+)?\(0x[0-9a-f]+\)                   # HASH(0x55d0c8)
    |(?:Object|Resource)\ id\ \#[0-9]+|%!\w\(.*\)|map\[.*\].*|(?i:null)::[\w ]+|\(\*?[\w.]+\)\(nil\)
    |(?:async\ )?function\b.*|\(.*\)\ =>.*|Promise\s*\{{.*\}}|Symbol\(.*\)
    |(?:character|numeric|logical|integer|list)\(0?\)                 # R""",
    re.VERBOSE | re.DOTALL,
)


def stand_in(text: str, *, cautious: bool = False) -> str:
    """Words for missing values, placeholders, template variables, and objects written as text.

    Completes a sentence that begins with the name of the column; "" if the text is none of these.
    ``cautious``: for a text that a person chose, which may be a name or a phrase.
    """
    if not any(map(str.isalnum, text)):
        return "has neither a letter nor a digit"
    if text in {"\\N", "\\\\N"}:
        return f'is "{text}", a word for a missing value'
    if meaning := words.find_word(text, cautious=cautious):
        return f'is "{text}", {meaning}'
    if re.fullmatch(r"[xX]{3,}|0{2,}|[xX0]+(?:[-_ ][xX0]+)+", text):
        return "consists only of x or 0, which is a placeholder"
    if _TEMPLATE.fullmatch(text):
        return "is a template variable that was not replaced by a value"
    if _OBJECT.fullmatch(text):
        return "is an object that a program printed as text, or a placeholder, not a value"
    if _ASKING.fullmatch(text) and not any(map(str.isdigit, text)):
        return "asks for a value instead of holding one"
    return "is a note, not a value" if not cautious and _is_note(text) else ""


_ASKING_LOGIN = re.compile(r"(?:you|your[-_. ].+|your)@.*|user[-_ ]?name|e-?mail", re.IGNORECASE)
_ASKING_PASSWORD = re.compile(
    r"""\$\{\w+\}|\{\{[^{}]*\}\}|<[^<>]*(?:password|passwort)[^<>]*>
    |[<\[{(]*(?:your|my|the|insert|enter|replace|fill|set|put|add|paste|type|use|leaf)[-_ ](?:.*[-_ ])?
    (?:password|passwort|secret|value|here)[>\]})]*""",
    re.IGNORECASE | re.VERBOSE,
)


def asks_for_user_name(text: str) -> bool:
    """Return whether a user name is a placeholder. Words such as "test" may be somebody's name."""
    asks = _ASKING.fullmatch(text) or _ASKING_LOGIN.fullmatch(text)
    return bool(asks or _TEMPLATE.fullmatch(text) or _OBJECT.fullmatch(text)) or words.is_missing(text)


def asks_for_password(text: str) -> bool:
    """Return whether a password is obviously a placeholder: nearly any text may be somebody's."""
    return bool(_ASKING_PASSWORD.fullmatch(text))


_NOTE_PART = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.\-])*[,.;:!?]*|[0-9][0-9.:/]*|[-–&(]?[^\W\d_]*\)?")


def _is_note(text: str) -> bool:
    """Several words, one of which is in the list of words for notes."""
    parts = text.split()
    plain = len(parts) > 1 and all(map(_NOTE_PART.fullmatch, parts))
    return plain and any(words.folded(part) in words.NOTE for part in parts)
