"""Workbooks of other programs and in other dialects of XML: every cell is what its program shows."""

from __future__ import annotations

import gc
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import openpyxl
import pytest

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.domain.input_description import ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source

FILES = Path(__file__).parent / "files"
V, E, F = CellKind.VALUE, CellKind.ERROR, CellKind.FORMULA

# Row -> token, kind of the cell; the ids are of no interest here.
COMMON: dict[int, tuple[str, int]] = {
    2: ("rt-1", 0), 3: ("rt-2", 0), 4: ("#N/A", E), 5: ("#DIV/0!", E), 6: ("  two  spaces ", 0),
    7: ("rt-a\nb", 0), 8: ("12345.5", V), 9: ("TRUE", V), 10: ("rt-hidden", 0), 11: ("rt-struck", 0),
    13: ("rt-tab\tx", 0),
}  # fmt: skip
MORE = COMMON | {15: ("", 0), 16: ("rt-grouped", 0), 17: ("2026-01-02", V)}
SHEETJS = COMMON | {15: ("rt-21", 0)}
# Programs that keep no results of formulas.
WITHOUT_RESULTS: dict[int, tuple[str, int]] = {2: ("rt-1", 0), 3: ("", F), 4: ("", F)}
EXPECTED: dict[str, tuple[dict[int, tuple[str, int]], list[int], bool]] = {
    "libreoffice.xlsx": (MORE, [10, 16], True),
    "libreoffice.xls": (MORE | {15: ("", F)}, [10, 16], True),
    "libreoffice.ods": (MORE | {9: ("1", V)}, [10, 16], True),
    "xlsxwriter.xlsx": (MORE | {15: ("", F)}, [10, 16], True),
    "sheetjs.xlsx": (SHEETJS, [10], False),
    # SheetJS writes the results of formulas as numbers, so that the row of zeros is one of numbers.
    "sheetjs.xlsb": (SHEETJS | {14: ("0", V)}, [10], False),
    "gnumeric.ods": (MORE, [10, 16], True),
    "xlwt.xls": (WITHOUT_RESULTS, [], False),
    "odfpy.ods": (WITHOUT_RESULTS, [], False),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_workbooks_of_other_programs_are_read_as_displayed(name: str) -> None:
    cells, hidden, struck = EXPECTED[name]
    with open_source(FILES / name) as source:
        [chunk] = source.chunks([0, 1])
        found = source.description
    kinds = chunk.kinds[:, 1].tolist()
    assert dict(zip(chunk.numbers.tolist(), zip(chunk.cells[1], kinds, strict=True), strict=True)) == cells
    assert list(found.hidden_rows) == hidden
    assert found.sheets == ("Growers",)
    assert found.unread_sheets == (() if cells is WITHOUT_RESULTS else ("Hidden (a hidden sheet)",))
    assert [line.row for line in found.skipped_lines] == ([14] if 5 in cells and 14 not in cells else [])
    assert found.struck_rows == ((11,) if struck else ())


GROUP = "<table:table-row-group{}><table:table-row{}>{}</table:table-row></table:table-row-group>"


def test_rows_of_an_ods_are_hidden_by_collapsed_groups_too() -> None:
    row = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in (ID, "rt"))
    shown = GROUP.format("", "", row)
    file = ods(
        GROUP.format(" table:display='false'", "", row)
        + shown
        + GROUP.format("", " table:visibility='collapse' table:number-rows-repeated='2'", row)
        + f"<table:table-row-group table:display='false'>{shown}</table:table-row-group>"
    )
    file.seek(0)
    with open_source("-", stdin=file) as source:
        assert source.description.hidden_rows == (2, 4, 5, 6)


def test_hidden_rows_are_skipped_on_request() -> None:
    with open_source(FILES / "libreoffice.ods", ReadOptions(hidden="skip")) as source:
        [chunk] = source.chunks([0])
        assert not {10, 16} & set(chunk.numbers.tolist())
        assert source.description.hidden_rows == (10, 16)


HEADER = ("leafUserId", "refreshToken")
ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def packed(parts: dict[str, str]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file


def xlsx(rows: str, *, namespace: str = MAIN, p: str = "", slash: str = "/", **parts: str) -> io.BytesIO:
    """A workbook of these rows. ``p``: a prefix for all elements; ``slash``: between the folders of names."""
    xmlns = f'xmlns{":" if p else ""}{p.rstrip(":")}="{namespace}" xmlns:r="{RELATIONS}"'
    targets = {"worksheet": "/xl/sheets/a.xml", "sharedStrings": "s.xml", "styles": "t.xml"}
    links = "".join(
        f'<Relationship Id="{link}" Type="{RELATIONS}/{link}" Target="{target}"/>'
        for link, target in targets.items()
    )
    sheets = f'<{p}sheets><{p}sheet name="G" r:id="worksheet"/></{p}sheets>'
    head = (
        f'<{p}row r="1"><{p}c r="A1" t="inlineStr"><{p}is><{p}t>leafUserId</{p}t></{p}is></{p}c>'
        f'<{p}c t="str"><{p}v>refreshToken</{p}v></{p}c></{p}row>'
    )
    content = {
        "xl/workbook.xml": f"<{p}workbook {xmlns}>{sheets}</{p}workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{links}</Relationships>",
        "xl/sheets/a.xml": f"<{p}worksheet {xmlns}><{p}sheetData>{head}{rows}</{p}sheetData></{p}worksheet>",
        **{f"xl/{name}.xml": text for name, text in parts.items()},
    }
    return packed({name.replace("/", slash): text for name, text in content.items()})


def ods(rows: str, styles: str = "") -> io.BytesIO:
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text", "style", "draw")
    )
    cells = [f"<table:table-cell><text:p>{name}</text:p></table:table-cell>" for name in HEADER]
    head = "".join(cells)
    content = (
        f"<office:document-content{names}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f'<office:spreadsheet><table:table table:name="G"><table:table-row>{head}</table:table-row>{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    return packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": content})


def tokens(file: io.BytesIO) -> list[tuple[int, str, int]]:
    """Row, text and kind of the second column."""
    file.seek(0)
    with open_source("-", stdin=file) as source:
        found = [(chunk.numbers, chunk.cells[0], chunk.kinds[:, 0]) for chunk in source.chunks([1])]
    return [(int(n), text, int(kind)) for numbers, texts, kinds in found
            for n, text, kind in zip(numbers, texts, kinds, strict=True)]  # fmt: skip


def cell(content: str, kind: str = "", p: str = "") -> str:
    return f"<{p}row><{p}c t='str'><{p}v>{ID}</{p}v></{p}c><{p}c {kind}>{content}</{p}c></{p}row>"


RICH = "<sst><si><r><t>rt-</t></r><r><rPr><strike/></rPr><t>1</t></r><rPh sb='0'><t>x</t></rPh></si></sst>"
STYLES = (
    "<styleSheet><numFmts><numFmt numFmtId='170' formatCode='dd/mm/yyyy'/></numFmts><fonts><font/></fonts>"
    "<cellXfs><xf numFmtId='0'/><xf numFmtId='170'/></cellXfs></styleSheet>"
)


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ("<v>#N/A</v>", "t='e'", ("#N/A", E)),
        ("<f>A1</f><v>#REF!</v>", "t='e'", ("#REF!", E)),
        ("<f>A1</f>", "", ("", F)),
        ("<f>A1</f><v/>", "t='n'", ("", F)),
        ("<f>A1</f>", "t='str'", ("", F)),
        ("<f>A1</f><v></v>", "t='str'", ("", 0)),
        ("<f>A1</f><v>rt-1</v>", "t='str'", ("rt-1", 0)),
        ("<v>0</v>", "t='s'", ("rt-1", 0)),
        ("<is><r><t>rt</t></r><r><t xml:space='preserve'> 1 </t></r></is>", "t='inlineStr'", ("rt 1 ", 0)),
        ("<v/>", "t='e'", ("#ERROR!", E)),
        ("<v>1</v>", "t='b'", ("TRUE", V)),
        ("<f>Z9</f><v>0</v>", "s='1'", ("0", V)),
        ("<v>2026-01-02</v>", "t='d'", ("2026-01-02", V)),
        ("<v>46024</v>", "s='1'", ("2026-01-02", V)),
        ("<v>1.5E+20</v>", "", ("150000000000000000000", V)),
        ("<v>123456789012345678</v>", "s='0'", ("123456789012345678", V)),
        ("<v>_x0041_b_x000D_&#10;c</v>", "t='str'", ("Ab\r\nc", 0)),
        ("", "s='1'", ("", 0)),
    ],
)
def test_cells_of_xlsx_in_all_dialects(content: str, kind: str, expected: tuple[str, int]) -> None:
    file = xlsx(cell(content, kind), s=RICH, t=STYLES)
    assert tokens(file) == [(2, *expected)]


@pytest.mark.parametrize(
    ("namespace", "p", "slash"), [(STRICT, "", "/"), (MAIN, "x:", "/"), (MAIN, "", "\\")], ids=str
)
def test_namespaces_prefixes_and_slashes_do_not_matter(namespace: str, p: str, slash: str) -> None:
    file = xlsx(cell(f"<{p}v>rt-1</{p}v>", "t='str'", p), namespace=namespace, p=p, slash=slash)
    assert tokens(file) == [(2, "rt-1", 0)]


# As LibreOffice wrote errors before 4.2.
OLD_ERROR = " table:formula='of:=X' office:value-type='float' office:value='0'>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("><text:p>rt-a</text:p>\n <text:p>b</text:p>", ("rt-a\nb", 0)),
        ("><text:p>\n  rt <text:s text:c='2'/><text:span>x</text:span>\n </text:p>", ("rt   x", 0)),
        ("><text:p>rt</text:p><office:annotation><text:p>x</text:p></office:annotation>", ("rt", 0)),
        ("><draw:frame><text:p>x</text:p></draw:frame><text:p>rt</text:p>", ("rt", 0)),
        (" calcext:value-type='error'><text:p>#REF!</text:p>", ("#REF!", E)),
        (f"{OLD_ERROR}<text:p>Err:502</text:p>", ("Err:502", E)),
        (" table:formula='of:=X'>", ("", F)),
        (" table:formula='of:=X' office:value-type='float'>", ("", F)),
        (" table:formula='of:=X' office:value-type='string' office:string-value=''>", ("", 0)),
        (" office:value-type='float' office:value='1.50'><text:p>1,50</text:p>", ("1.5", V)),
        (" office:value-type='date' office:date-value='2026-01-02'><text:p>2.1.</text:p>", ("2026-01-02", V)),
        (" office:value-type='boolean' office:boolean-value='true'><text:p>WAHR</text:p>", ("TRUE", V)),
    ],
)  # fmt: skip
def test_cells_of_ods_in_all_dialects(content: str, expected: tuple[str, int]) -> None:
    row = f"<table:table-cell><text:p>{ID}</text:p></table:table-cell><table:table-cell{content}"
    row += "</table:table-cell>"
    file = ods(f"<table:table-row table:number-rows-repeated='3'><table:table-cell/></table:table-row>"
               f"<table:table-row xmlns:calcext='c'>{row}</table:table-row>")  # fmt: skip
    assert tokens(file) == [(5, *expected)]


REPEATED = (
    "<table:table-row table:number-rows-repeated='{}'><table:table-cell table:number-columns-repeated='{}'>"
)
REPEATED += "<text:p>x</text:p></table:table-cell></table:table-row>"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (lambda: ods(REPEATED.format(1_000_000, 16_000)), "more than 40,000,000 cells"),
        (lambda: ods(REPEATED.format(2_000_000_000, 1)), "damaged"),
        (lambda: xlsx("<row r='2000000000'><c><v>1</v></c></row>"), "damaged"),
        (lambda: xlsx("<row r='2'><c r='ZZZZZ2'><v>1</v></c></row>"), "damaged"),
        (lambda: xlsx("<row r='7'><c><v>1</v></c></row><row r='3'><c><v>1</v></c></row>"), "out of order"),
        (lambda: xlsx(cell("<v>9</v>", "t='s'")), "shared string that does not exist"),
        (lambda: xlsx("<row>&b;</row>", **{"../x": ""}), "XML"),
    ],
)
def test_oversized_or_inconsistent_workbooks_are_refused(file: Callable[[], io.BytesIO], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tokens(file())


def test_entity_expansion_is_refused() -> None:
    laughs = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    content = f'<!DOCTYPE w [<!ENTITY e0 "ha">{laughs}]><workbook><sheets>&e9;</sheets></workbook>'
    with pytest.raises(InputError, match="XML: limit on input amplification factor"):
        tokens(packed({"xl/workbook.xml": content}))


def test_a_hidden_sheet_with_the_growers_is_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["See the other sheet"])  # type: ignore[union-attr]
    hidden = book.create_sheet("Old list")
    hidden.sheet_state = "hidden"
    for line in (HEADER, (ID, "rt-1")):
        hidden.append(line)
    book.save(tmp_path / "own.xlsx")
    with pytest.raises(
        InputError, match=r"only hidden sheets contain growers: 'Old list'; .* --sheet \"Old list\""
    ):
        open_source(tmp_path / "own.xlsx")
    with open_source(tmp_path / "own.xlsx", ReadOptions(sheets=("Old list",))) as source:
        assert source.header == tuple(HEADER)


@pytest.mark.parametrize("cut", [0, 300])
def test_the_garbage_collector_runs_again_after_a_workbook_was_opened(tmp_path: Path, cut: int) -> None:
    content = (FILES / "libreoffice.xlsx").read_bytes()
    (tmp_path / "growers.xlsx").write_bytes(content[: len(content) - cut])
    with suppress(InputError):
        open_source(tmp_path / "growers.xlsx").close()
    assert gc.isenabled()
