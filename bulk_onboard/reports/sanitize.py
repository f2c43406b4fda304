"""Make foreign text safe for terminals, CSV readers and spreadsheets.

The patterns are for RE2, which DuckDB uses; `formatting.plain` is ``one_line`` for a single text.
"""

from __future__ import annotations

import re

import duckdb

from bulk_onboard.domain.formatting import UNWANTED

# https://owasp.org/www-community/attacks/CSV_Injection, even after characters that a spreadsheet may skip:
# spaces, invisible characters and quotes of any kind. The last four characters are full-width = + - @.
_SKIPPED = r"""[\s\x0b\p{Z}\p{Cf}'"`\x{2018}\x{2019}\x{201C}\x{201D}]*"""
_FORMULA = rf"^{_SKIPPED}[=+\-@\t\r\x{{FF1D}}\x{{FF0B}}\x{{FF0D}}\x{{FF20}}]"
# The same for JavaScript (flag "u"), so that text copied from the page is escaped by the same rule.
FORMULA_IN_JAVASCRIPT = re.sub(r"\\x\{(\w+)\}", r"\\u{\1}", _FORMULA)
# A cell that none of these changes.
_PLAIN_CELL = "(?:[0-9A-Za-z][0-9A-Za-z ._:/()-]*)?"


def quoted(text: str) -> str:
    """Return the text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


# one_line, some_lines: without control characters; line breaks become spaces, or stay as "\n".
# not_a_formula: with a ' in front of what a spreadsheet would run. csv_quoted: in quotes if CSV needs them.
# csv_line, csv_lines: all of these in order; one pattern shows that most texts need none of them.
MACROS = f"""
CREATE OR REPLACE MACRO one_line(t) AS CASE WHEN regexp_full_match(t, '[ -~]*') THEN t
    ELSE replace(regexp_replace(t, {quoted(UNWANTED)}, ' ', 'g'), chr(10), ' ') END;
CREATE OR REPLACE MACRO some_lines(t) AS CASE WHEN regexp_full_match(t, '[ -~]*') THEN t
    ELSE regexp_replace(replace(t, chr(13) || chr(10), chr(10)), {quoted(UNWANTED)}, ' ', 'g') END;
CREATE OR REPLACE MACRO not_a_formula(t) AS CASE WHEN regexp_matches(t, {quoted(_FORMULA)})
    THEN '''' || t ELSE t END;
CREATE OR REPLACE MACRO csv_quoted(t) AS CASE WHEN regexp_matches(t, '[",\\n\\r]')
    THEN '"' || replace(t, '"', '""') || '"' ELSE t END;
CREATE OR REPLACE MACRO csv_line(t) AS CASE WHEN regexp_full_match(t, '{_PLAIN_CELL}') THEN t
    ELSE csv_quoted(not_a_formula(one_line(t))) END;
CREATE OR REPLACE MACRO csv_lines(t) AS CASE WHEN regexp_full_match(t, '{_PLAIN_CELL}') THEN t
    ELSE csv_quoted(not_a_formula(some_lines(t))) END;
"""


def add_macros(db: duckdb.DuckDBPyConnection) -> None:
    """Add the macros above to a database."""
    db.execute(MACROS)
