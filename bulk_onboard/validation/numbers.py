"""Numbers, dates and times as spreadsheets and programs write them, in any locale. Pure."""

from __future__ import annotations

import re
import unicodedata

from bulk_onboard.validation import words

_MINUS = r"[-+\u2212]"
_DECIMAL = r"(?:[0-9]{0,15}[.,\u066b][0-9]{1,15}|[0-9]{1,15}[.,])"
_THOUSANDS = r"(?:[0-9]{1,3}(?:[.,'\u2019\u066c ][0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3})"
_GROUPED = rf"{_THOUSANDS}(?:[.,\u066b][0-9]{{1,9}})?"
_NUMBER = rf"{_MINUS}?(?:{_DECIMAL}|{_GROUPED}|[0-9]{{1,15}})"
_UNIT = rf"(?:(?:{words.CURRENCIES})\.?|[%‰])"
_NUMBERS = re.compile(
    rf"""{_MINUS}?[0-9]+[.,][0-9]*[eE]{_MINUS}?[0-9]{{1,4}}   # 1,23E+17
    |{_MINUS}?[0-9]+[eE]{_MINUS}[0-9]{{1,4}}                  # 1E+17, but not 1e17
    |[0-9][.,]?[0-9]*\ ?[x×*]\ ?10\^?{_MINUS}?[0-9]+
    |\(?{_MINUS}?{_UNIT}\s?{_NUMBER}\)?                      # € 1.234,50
    |\(?{_NUMBER}\s?{_UNIT}\)?|\({_NUMBER}\)                # 12 %, (12.00)
    |{_MINUS}?(?:0|[1-9][0-9]{{0,14}})                        # 0, 44927, but not 007
    |{_MINUS}[0-9]+|[1-9][0-9]{{14}}00+                       # a spreadsheet keeps 15 digits
    |{_MINUS}?(?:{_DECIMAL}|{_GROUPED})                       # 1.5, 1.234.567,89
    |(?:[0-9]{{1,4}}\ )?[0-9]{{1,4}}/[0-9]{{1,4}}              # 3 1/4""",
    re.VERBOSE,
)
_DAY = r"(?:0?[0-9]|[12][0-9]|3[01])\.?"
# Also of the calendars of Iran and Thailand.
_YEAR = r"(?:1[3489][0-9]{2}|2[0156][0-9]{2}|9999|'?[0-9]{2})"
_HALF_DAY = r"(?:[AaPp]\.?\s?[Mm]\.?|Uhr|h|上午|下午|오전|오후)"
_TIME = rf"""(?:[0-9]{{1,4}}:[0-5]?[0-9](?::[0-5]?[0-9])?(?:[.,][0-9]{{1,9}})?\s?{_HALF_DAY}?
    |[0-2]?[0-9]\s?h\s?[0-5][0-9])"""
# Oracle writes 30-NOV-26 12.00.00.000000 AM.
_TIME_OF_DATE = rf"(?:{_TIME}|[0-9]{{1,2}}\.[0-5][0-9]\.[0-5][0-9](?:[.,][0-9]{{1,9}})?\s?{_HALF_DAY}?)"
_ZONE = r"\s?(?:Z|UTC|GMT|[A-Z]{3,4}(?=\s)|[-+][0-9]{2}:?[0-9]{2}|(?:GMT|UTC)[-+][0-9:]{4,5}.*)?"
_MONTH = rf"(?:{words.MONTHS})[^\W\d_]{{0,9}}\.?"
_SEPARATOR = r"[-./\u2010-\u2015 ]{1,2}"
_DATE = rf"""(?:(?:[^\W\d_]{{2,10}}[.,]?\s)?(?:           # a day of the week
    {_YEAR}{_SEPARATOR}{_DAY}{_SEPARATOR}{_DAY}
    |(?:0[0-9]|[12][0-9]|3[01])(?:{words.MONTHS}){_YEAR}   # 30NOV2026, as SAS writes it
    |{_DAY}{_SEPARATOR}{_DAY}{_SEPARATOR}{_YEAR}\.?
    |{_DAY}{_SEPARATOR}?(?:de\s|of\s)?{_MONTH}(?:,?(?:{_SEPARATOR}|\sdel?\s){_YEAR}\.?)?
    |{_MONTH}{_SEPARATOR}(?:{_DAY}(?:st|nd|rd|th)?,?\s?)?{_YEAR}
    |{_YEAR}{_SEPARATOR}{_MONTH}(?:{_SEPARATOR}{_DAY})?
    |{_YEAR}[-/.](?:0[0-9]|1[0-2])|(?:0?[0-9]|1[0-2])[/.](?:1[89]|2[01])[0-9]{{2}}
    |[0-9]{{4}}\s?[年년]\s?[0-9]{{1,2}}\s?[月월]\s?(?:[0-9]{{1,2}}\s?[日일])?))"""
_DATES = re.compile(
    rf"""{_DATE}(?:(?:,?\s|[T:]|\ at\ |\ à\ |\ um\ ){_TIME_OF_DATE}{_ZONE}(?:\s{_YEAR})?)?
    (?:\s?г\.?|\s\(.*\))?
    |-?{_TIME}{_ZONE}|-?[0-9]+\sdays?(?:,?\s[-+]?[0-9:.]+)?|\\?/Date\([-+0-9]+\)\\?/""",
    re.VERBOSE | re.IGNORECASE,
)


def number_or_date(text: str) -> str:
    """What a number, a date or a time is, as the end of a sentence; "" for any other text."""
    plain = unicodedata.normalize("NFKC", "".join(str(unicodedata.decimal(c, c)) for c in text))
    if _NUMBERS.fullmatch(plain):
        return "is a number as a spreadsheet writes it"
    if len(plain) <= 80 and any(map(str.isdigit, plain)) and _DATES.fullmatch(plain):
        return "is a date or a time as a spreadsheet writes it"
    return ""
