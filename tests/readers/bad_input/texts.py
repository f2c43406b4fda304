"""Broken text files."""

from __future__ import annotations

import bz2
import gzip
import lzma

from tests.readers.bad_input.case import HEADER, IDS, Case, data, faulty, fine, good, refused, token

GOOD = HEADER + good()
UMLAUT = f"{IDS[3]},{token(3)}ö\n"
NEXT = f"{IDS[4]},{token(4)}\n"
SEMICOLONS = GOOD.replace(",", ";")
TEN_MB = 10_000_000

ENCODINGS = [
    *(
        faulty(f"{name}.csv", data((GOOD + UMLAUT).encode(name)), rows=4, note="encoding", odd_character=[5])
        for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252")
    ),
    fine("utf-16-be-bom.csv", data(b"\xfe\xff" + GOOD.encode("utf-16-be"))),
    fine("utf-32-be-bom.csv", data(b"\0\0\xfe\xff" + GOOD.encode("utf-32-be"))),
    refused("utf-32-no-mark.csv", data(GOOD.encode("utf-32-le")), "is not text", "expected CSV"),
    refused("ebcdic.csv", data(GOOD.encode("cp037")), "line 1", "neither UTF-8 nor Windows-1252"),
    refused(
        "mixed.csv",
        data((GOOD + UMLAUT).encode() + b"\xe9\xfc,\xf6\n"),
        "line 6: not UTF-8, although the lines before it are",
        "save the file again as UTF-8",
    ),
    faulty("undefined.csv", data(GOOD.encode() + IDS[3].encode() + b",x\x81\x8d\n"), control_character=[5]),
    refused("cut-character.csv", data((GOOD + "€").encode()[:-1]), "line 5: cut off within a character"),
    refused("cut-later.csv", data((GOOD + UMLAUT + "ö").encode()[:-1]), "line 6: cut off within a character"),
    refused("cut-utf-16.csv", data(GOOD.encode("utf-16")[:-1]), "line 4: cut off within a character"),
    refused("lone-surrogate.csv", data(GOOD.encode("utf-16") + b"\x00\xd8,\x00"), "line 5: not UTF-16"),
    faulty(
        "last-letter.csv",
        data((GOOD + IDS[3] + ",é").encode("cp1252")),
        rows=4,
        note="is Windows-1252",
        odd_character=[5],
    ),
]

CHARACTERS = [
    faulty("nul.csv", data(f"{GOOD}{IDS[3]},a\0b\n{NEXT}"), control_character=[5]),
    fine("nul-in-header.csv", data("leaf\0UserId,refreshToken\n" + good())),
    refused("nothing-but-nul.csv", data(b"\0" * 5000), "nothing but NUL bytes"),
    refused("random.csv", data(bytes(range(256)) * 20), "is not text"),
    faulty("escape.csv", data(f"{GOOD}{IDS[3]},\x1b[31mred\n"), control_character=[5]),
    faulty("zero-width.csv", data(f"{HEADER}\u200b{IDS[0]},a\u200bb\nx,c\n"), bad_leaf_user_id=[3],
           warn_zero_width_removed=[2]),
    faulty("spaces.csv", data(f"{HEADER} {IDS[0]}\u00a0,a\nx,c\n"), bad_leaf_user_id=[3],
           warn_spaces_removed=[2]),
]  # fmt: skip

QUOTES = [
    refused("unclosed.csv", data(f'{GOOD}{IDS[3]},"abc\n{NEXT}'), "row 5: a quote is opened in it and never"),
    refused("unclosed-header.csv", data('"' + GOOD), "row 1: a quote is opened in it and never closed"),
    refused("after-quote.csv", data(f'{GOOD}{IDS[3]},"abc"x\n'), "row 5: a cell continues after its closing"),
    faulty(
        "line-breaks.csv",
        data(f'{HEADER}{IDS[0]},"a\nb\r\nc"\n{IDS[1]},{token(1)}\nbad,t\n'),
        control_character=[2],
        bad_leaf_user_id=[4],
        note="count as one row",
    ),
    fine("quote-inside.csv", data(f'{HEADER}{IDS[0]},a"b\n{IDS[1]},"c""d"\n'), rows=2),
    faulty("single-quotes.csv", data(f"{HEADER}'{IDS[0]}','a'\nx,w\n"), bad_leaf_user_id=[3],
           warn_quotes_removed=[2]),
]  # fmt: skip

SHAPES = [
    faulty("short.csv", data(f"{HEADER}{IDS[0]}\n{IDS[1]},t\n"), missing_refreshToken=[2]),
    faulty("long.csv", data(f"{HEADER}{IDS[0]},a,b\n{IDS[1]},t,,\n"), ragged_row=[2]),
    refused("one-column.csv", data(f"leafUserId\n{IDS[0]}\n"), "refreshToken is missing", "leafUserId"),
    refused("prose.txt", data("Dear all,\nhere they are.\n"), "leafUserId is missing", "Dear all"),
    fine("header-twice.csv", data(GOOD + HEADER + good(2, 3)), rows=5),
    refused(
        "two-headers.csv",
        data(f"leafUserId,Leaf User-ID,refreshToken\n{IDS[0]},x,t\n"),
        "'leafUserId' (column 1) and 'Leaf User-ID' (column 2) are both leafUserId",
        "--map leafUserId=COLUMN",
    ),
    refused("same-header.csv", data(f"leafUserId,refreshToken,refreshToken\n{IDS[0]},t,u\n"), "rename one"),
    refused(
        "near-misses.csv",
        data(f"leafUserIds,refresh tokn\n{IDS[0]},t\n"),
        "'leafUserIds' may be leafUserId (its cells are UUIDs), 'refresh tokn' may be refreshToken"
        " (nearly the same name); if so, run: bulk-onboard"
        " validate near-misses.csv --json --map leafUserId=leafUserIds --map 'refreshToken=refresh tokn'",
    ),
    refused("no-header.csv", data(good()), "no header", "column names", "leafUserId, refreshToken"),
    refused("no-header-one-row.csv", data(good(1)), "has no header: its first row holds data"),
    refused("empty.csv", data(""), "is empty; expected a header and rows"),
    refused("spaces-only.csv", data("  \n \t\n"), "has only blank lines"),
    refused("line-ends-only.csv", data("\r\n\r\n"), "has only blank lines"),
    refused("header-only.csv", data(HEADER), "has a header but no rows"),
    refused("header-cut.csv", data(HEADER.strip()), "has a header but no rows"),
    refused("header-and-blanks.csv", data(HEADER + ",\n\n,,\n"), "has a header but no rows"),
    refused("mark-only.csv", data(b"\xef\xbb\xbf"), "is empty"),
    refused("mark-16-only.csv", data(b"\xff\xfe"), "is empty"),
    faulty(
        "blank-between.csv",
        data(f"{HEADER}\n{IDS[0]},a\n\n , \n,\nbad,w\n"),
        rows=2,
        bad_leaf_user_id=[7],
    ),
    faulty("titles.csv", data(f"Growers 2026\nby region;x\n\n{GOOD}bad,w\n"), bad_leaf_user_id=[8]),
    faulty("sep.csv", data(f"sep=;\n{SEMICOLONS}bad;w\n"), bad_leaf_user_id=[5], note="line is not counted"),
    fine("sep-lies.csv", data("sep=,\r\n" + SEMICOLONS)),
    fine("sep-odd.csv", data("sep=~\r\n" + GOOD.replace(",", "~"))),
    fine("sep-quote.csv", data('sep="\r\n' + GOOD), rows=3),
    fine("tabs.csv", data(GOOD.replace(",", "\t")), note="named .csv"),
    fine("pipes.tsv", data(GOOD.replace(",", "|")), note="named .tsv"),
    fine("old-mac.csv", data(GOOD.replace("\n", "\r"))),
    faulty("mixed-ends.csv", data(f"{HEADER.strip()}\r{good(1)}{IDS[1]},b\r\nbad,c\rx,d"),
           bad_leaf_user_id=[4, 5]),
]  # fmt: skip

LARGE = [
    refused("long-cell.csv", data(lambda: f"{HEADER}{IDS[0]}," + "x" * TEN_MB), "line 2: more than 4,194"),
    refused(
        "long-quoted.csv",
        data(lambda: f'{HEADER}{IDS[0]},"' + "x\n" * (TEN_MB // 2) + '"\n'),
        "row 2: a cell has more than 4,194,304 characters",
    ),
    refused("long-line.csv", data(lambda: HEADER + "a,b," * (TEN_MB // 4)), "line 2", "one row per line"),
    refused("long-header.csv", data(lambda: "a" * TEN_MB + "\n" + good()), "line 1"),
    refused(
        "many-columns.csv",
        data(lambda: ",".join(f"column {n}" for n in range(20_000)) + "\n1,2\n"),
        "leafUserId is missing",
        "and 19,800 more",
    ),
    fine("boundary.csv", data(lambda: f"wkt,leafUserId,refreshToken\n{'1 ' * 99_999},{IDS[0]},t\n"), rows=1),
]  # fmt: skip

PACKED = gzip.compress((GOOD * 2000).encode())

COMPRESSED = [
    fine("growers.csv.gz", data(gzip.compress(GOOD.encode()))),
    fine("growers.csv.bz2", data(bz2.compress(GOOD.encode()))),
    fine("growers.tsv.xz", data(lzma.compress(GOOD.replace(",", "\t").encode()))),
    fine("two-members.csv.gz", data(gzip.compress(HEADER.encode()) + gzip.compress(good().encode()))),
    fine("unsaid.csv", data(gzip.compress(GOOD.encode())), note="gzip without .gz"),
    refused("cut.csv.gz", data(PACKED[:-20]), "is cut off", "compressed data ends too early"),
    refused("cut.csv.bz2", data(bz2.compress((GOOD * 2000).encode())[:-20]), "is cut off"),
    refused("cut.csv.xz", data(lzma.compress((GOOD * 2000).encode())[:-20]), "is cut off"),
    refused("broken.csv.gz", data(PACKED[:30] + b"????" + PACKED[34:]), "damaged", "cannot be decompressed"),
    refused("broken.csv.bz2", data(b"BZh9" + b"nonsense" * 99), "damaged"),
    refused("broken.csv.xz", data(b"\xfd7zXZ\x00" + b"nonsense" * 99), "damaged"),
    refused("head.csv.gz", data(b"\x1f\x8b\x08"), "is cut off"),
    refused("nothing.csv.gz", data(gzip.compress(b"")), "is empty"),
    refused("junk-after.csv.gz", data(gzip.compress(GOOD.encode()) + b"junk"), "damaged"),
    refused("twice.csv.gz", data(gzip.compress(gzip.compress(GOOD.encode()))), "compressed twice"),
    refused("picture.csv.gz", data(gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(99))), "picture"),
    refused("growers.xlsx.gz", data(gzip.compress(b"PK\x03\x04")), "compressed workbook"),
    refused("hidden-xlsx.csv.gz", data(gzip.compress(b"PK\x03\x04" + bytes(50))), "unpack it first"),
    refused("growers.csv.zst", data(b"\x28\xb5\x2f\xfd" + bytes(50)), "damaged"),
]

FOREIGN = [
    refused("growers.pdf", data(b"%PDF-1.7\n"), "is a PDF", "Expected one of .csv"),
    refused("pdf.csv", data(b"%PDF-1.7\n"), "is a PDF"),
    refused("picture.png", data(b"\x89PNG\r\n\x1a\n"), "is a picture"),
    refused("picture.csv", data(b"\xff\xd8\xff\xe0"), "is a picture"),
    refused("page.xls", data("<html><table><tr><td>leafUserId"), "web page", "save it as .xlsx"),
    refused("page.csv", data("\ufeff  <!DOCTYPE html>"), "web page"),
    refused("page-16.csv", data("<html><body>".encode("utf-16")), "web page"),
    refused("growers.json", data('{"leafUserId": 1}'), "is JSON"),
    refused("list.csv", data('[\n{"leafUserId": 1}]'), "is JSON"),
    refused("base.db", data(b"SQLite format 3\0" + bytes(99)), "SQLite"),
    refused("archive.7z", data(b"7z\xbc\xaf\x27\x1c"), "7-Zip", "unpack it first"),
    refused("letter.rtf", data(b"{\\rtf1 hello"), "RTF"),
    refused("secret.csv", data(b"-----BEGIN PGP MESSAGE-----\n"), "encrypted", "standard input"),
    refused("program.csv", data(b"\x7fELF\x02\x01\x01" + bytes(200)), "is not text"),
    refused("growers.dat", data(GOOD), "unknown suffix .dat", "rename it to .csv"),
    fine("growers", data(GOOD), note="without a suffix is read"),
    fine("GROWERS.CSV", data(GOOD)),
    fine("Züchter 农户.csv", data(GOOD)),
    fine("csv-named.xlsx", data(GOOD), note="is read as CSV"),
    fine("csv-named.parquet", data(GOOD), note="is read as CSV"),
    fine(
        "mapped-titles.csv",
        data("Growers 2026\n\nKunde,Raven token\n" + good()),
        note="header is known by --map",
        options=("--map", "leafUserId=Kunde", "--map", "refreshToken=Raven token"),
    ),
    refused("sheet.csv", data(GOOD), "has no sheets", options=("--sheet", "Growers")),
    refused("kept.csv", data(GOOD), "--keep acres: the file has no such column", options=("--keep", "acres")),
    refused(
        "mapped.csv",
        data(GOOD),
        "--map refreshToken=Token: the file has no such column",
        options=("--map", "refreshToken=Token"),
    ),
    Case("secret-kept.csv", data(GOOD), 2, ("refreshToken is secret",), options=("--keep", "refreshToken")),
]

ROWS = [
    faulty("placeholder.csv", data(f"{HEADER}{IDS[0]},your-token\n{IDS[1]},TODO\n{IDS[2]},null\n"),
           placeholder_value=[2, 3, 4]),
    faulty("formula-error.csv", data(f"{HEADER}#REF!,a\n{IDS[1]},#N/A\n"), formula_error=[2, 3]),
    faulty("rounded.csv", data(f"{HEADER}1.23E+17,a\n12345,b\n{IDS[2][:-1]},c\n"),
           bad_leaf_user_id=[2, 3, 4]),
    faulty("conflict.csv", data(f"{HEADER}{IDS[0]},a\n{IDS[1]},b\n{IDS[0].upper()},c\n"),
           conflicting_rows=[2, 4]),
    faulty("shared.csv", data(f"{HEADER}{IDS[0]},a\n{IDS[1]},a\n{IDS[2]},c\n"), shared_token=[2, 3]),
    fine("repeated.csv", data(GOOD + good()), rows=6, note="rows are duplicates"),
]  # fmt: skip

CASES: list[Case] = [
    *ENCODINGS, *CHARACTERS, *QUOTES, *SHAPES, *LARGE, *COMPRESSED, *FOREIGN, *ROWS,
]  # fmt: skip
