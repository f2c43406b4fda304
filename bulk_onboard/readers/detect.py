"""What a file is: by its content, whatever its name. Other types are refused with how to export them."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import PurePosixPath

from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.readers.decode import SUFFIXES as PACKED
from bulk_onboard.readers.decode import blocks, compression
from bulk_onboard.readers.input_file import Held
from bulk_onboard.where import STANDARD_INPUT

TEXT = (".csv", ".tsv", ".txt")
WORKBOOK = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
PARQUET = (".parquet",)
KNOWN = (
    f"{' '.join(TEXT)} (also compressed: {' '.join(PACKED)}, or one such file in a .zip),"
    f" {PARQUET[0]}, {' '.join(WORKBOOK)}"
)
# The container of old Office files ([MS-CFB]).
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 4096

_AS_CSV = "export the table as CSV"
_AS_XLSX = "open it in a spreadsheet program and save it as .xlsx"
_UNPACK = "unpack it first"
_FETCH = "fetch the file itself first"
_PIPE = "pipe the decrypted text into standard input and give - as the file"
_ENCRYPTED = (".gpg", ".pgp", ".asc", ".age", ".enc")

# A beginning of the content -> what the file is, and how to get a table out of it.
_SIGNATURES: dict[bytes, tuple[str, str]] = {
    b"%PDF": ("a PDF", "ask for the table as a spreadsheet or CSV"),
    b"\x89PNG": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"\xff\xd8\xff": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"GIF89a": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"GIF87a": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"II*\0": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"MM\0*": ("a picture", "ask for the table as a spreadsheet or CSV"),
    b"{\\rtf": ("a text document (RTF)", "copy the table into a spreadsheet and save it as .xlsx"),
    b"bplist00": ("an Apple property list, perhaps a file that is still in iCloud", _FETCH),
    b"L\0\0\0\x01\x14\x02\0": ("a Windows shortcut", "give the file that it points to"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", _UNPACK),
    b"Rar!": ("a RAR archive", _UNPACK),
    b"MSCF\0\0\0\0": ("a cabinet archive", _UNPACK),
    b"\x04\x22\x4d\x18": ("compressed with LZ4", _UNPACK),
    b"\x1f\x9d": ("compressed with compress (.Z)", _UNPACK),
    b"LZIP\x01": ("compressed with lzip", _UNPACK),
    b"-----BEGIN PGP": ("encrypted", _PIPE),
    b"-----BEGIN AGE": ("encrypted", _PIPE),
    b"age-encryption.org": ("encrypted", _PIPE),
    b"Salted__": ("encrypted", _PIPE),
    b"SQLite format 3": (
        "a SQLite database",
        f"{_AS_CSV}: sqlite3 -header -csv FILE 'SELECT …' > growers.csv",
    ),
    b"\x00\x01\x00\x00Standard Jet DB": ("an Access database", "External Data > Export > Excel"),
    b"\x00\x01\x00\x00Standard ACE DB": ("an Access database", "External Data > Export > Excel"),
    b"ARROW1\0\0": ("an Arrow file (Feather)", "save it as Parquet: df.to_parquet"),
    b"\xff\xff\xff\xff": ("an Arrow stream", "save it as Parquet"),
    b"Obj\x01": ("an Avro file", "save it as Parquet or CSV"),
    b"\x89HDF": ("an HDF5 file", "save it as Parquet or CSV"),
    b"\x93NUMPY": ("a NumPy file", "save it as Parquet or CSV"),
    b"RDX2\n": ("an R data file", "in R: write.csv(x, 'growers.csv', row.names = FALSE)"),
    b"RDX3\n": ("an R data file", "in R: write.csv(x, 'growers.csv', row.names = FALSE)"),
    b"X\n\0\0\0": ("an R data file", "in R: write.csv(x, 'growers.csv', row.names = FALSE)"),
    b"<stata_dta>": ("a Stata file", "in Stata: export delimited growers.csv"),
    b"$FL2": ("an SPSS file", "in SPSS: File > Export > CSV Data"),
    b"$FL3": ("an SPSS file", "in SPSS: File > Export > CSV Data"),
    b"HEADER RECORD*******": ("a SAS transport file", "in SAS: PROC EXPORT with DBMS=CSV"),
    bytes(12) + b"\xc2\xea\x81\x60": ("a SAS data set", "in SAS: PROC EXPORT with DBMS=CSV"),
    b"version https://git-lfs": ("a Git LFS pointer, not the file", "run `git lfs pull`"),
    b"[InternetShortcut]": ("a link to a web page", _FETCH),
    b"[Desktop Entry]": ("a desktop link", "give the file that it points to"),
}
# The same by a pattern at the beginning.
_PATTERNS: Sequence[tuple[re.Pattern[bytes], str, str]] = [
    (re.compile(rb"[\x69-\x73][\x01\x02]\x01\x00"), "a Stata file", "in Stata: export delimited growers.csv"),
    # These four letters may also begin a header.
    (re.compile(rb"ORC.{0,500}?[\x00-\x08]", re.DOTALL), "an ORC file", "save it as Parquet or CSV"),
    (re.compile(rb"PARE.{0,500}?[\x00-\x08]", re.DOTALL), "an encrypted Parquet file", "decrypt it first"),
    (re.compile(rb"FEA1.{0,500}?[\x00-\x08]", re.DOTALL), "a Feather file",
     "save it as Parquet: df.to_parquet"),
    (re.compile(rb"[\x80-\x83]?.{0,60}SPSS PORT FILE", re.DOTALL), "an SPSS file",
     "in SPSS: File > Export > CSV Data"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "a picture", "ask for the table as a spreadsheet or CSV"),
    (re.compile(rb"....ftyp(heic|heix|avif|mif1)", re.DOTALL), "a picture",
     "ask for the table as a spreadsheet or CSV"),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), "a picture", "ask for the table as a spreadsheet or CSV"),
    (re.compile(rb"\x80[\x02-\x05][\x95}\]c(]"), "a Python pickle", "save it as Parquet: df.to_parquet"),
    (re.compile(rb"[\x03\x30\x31\x83\x8b\xf5].[\x01-\x0c][\x01-\x1f].{8}\0\0", re.DOTALL),
     "a dBase table", _AS_XLSX),
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive", _UNPACK),
    (re.compile(rb",[^,\n]*,[^,\n]*,\d\d\.\d\d\.\d{4} \d\d:\d\d,file:[^\n]*;\s*\Z"),
     "a lock file of LibreOffice, not the file", "close the file there and name the file itself"),
    (re.compile(rb"[.\\/]*(\.git)?[\\/]annex[\\/]objects[\\/]"), "a git-annex pointer, not the file",
     "run `git annex get`"),
    (re.compile(rb"(?:[A-Za-z-]+: [^\n]*\n(?:[ \t][^\n]*\n)*)*?(?i:MIME-Version:|Content-Type: multipart/)"),
     "a web archive (MHTML) or an e-mail", _AS_XLSX),
]  # fmt: skip
# Text that is marked up: a pattern anywhere in the head of a text that begins with < or {.
_MARKUP: Sequence[tuple[re.Pattern[str], str, str]] = [
    (re.compile(r"urn:schemas-microsoft-com:office:spreadsheet|progid=.Excel\.Sheet"),
     "an XML spreadsheet of Excel 2003", _AS_XLSX),
    (re.compile(r"<office:document\b|opendocument:xmlns"), "a flat OpenDocument file (.fods)",
     "open it in LibreOffice and save it as .ods"),
    (re.compile(r"(?i)<!doctype html|<html|<table|<head|<body|<meta|<div"),
     "a web page (HTML)", f"it may be an error or login page; if it shows the table, {_AS_XLSX}"),
    (re.compile(r"\A\s*<(\?xml|!--|[A-Za-z][\w:.-]*(\s[^<>]*)?>\s*<|[^<>]*/>)"), "XML", _AS_XLSX),
    (re.compile(r'\A\s*\{[^{}]*"(doc_id|resource_id|url)"\s*:[^{}]*(docs|drive)\.google\.com|'
                r'\A\s*\{[^{}]*"doc_id"\s*:'),
     "a link to a Google document, not the file", "in Google Sheets: File > Download > .xlsx"),
    (re.compile(r"\A\s*\{.*\}\s*\n\s*\{"), "JSON lines", "convert it to CSV with one column per field"),
    (re.compile(r'\A\s*(\{\s*["}]|\[\s*([\[{"\]]|-?\d[\d.]*\s*,))'), "JSON",
     "convert it to CSV with one column per field"),
]  # fmt: skip

# A stream of an old Office file -> what it is.
_OLE_STREAMS = {
    "WordDocument": ("a Word document", "copy the table into a spreadsheet and save it as .xlsx"),
    "PowerPoint Document": ("a PowerPoint file", "copy the table into a spreadsheet and save it as .xlsx"),
    "__properties_version1.0": ("an Outlook message", "save its attachment and use that"),
}
# A member of a ZIP archive -> what it is.
_ZIP_MEMBERS = {
    "Index/Document.iwa": ("a Numbers document", "in Numbers: File > Export To > CSV or Excel"),
    "Index.zip": ("a Numbers document", "in Numbers: File > Export To > CSV or Excel"),
    "word/document.xml": ("a Word document", "copy the table into a spreadsheet and save it as .xlsx"),
    "ppt/presentation.xml": ("a PowerPoint file", "copy the table into a spreadsheet and save it as .xlsx"),
    "doc.kml": ("a map (KMZ)", _AS_CSV),
}

# What comes of reading a damaged ZIP archive.
UNZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    RuntimeError,  # of which NotImplementedError is one: encryption, unknown methods of compression
)
_LARGEST_SHEETS = 4 << 30
_LARGEST_MEMBER = 2 << 30
# Deflate at its best packs a thousand times; a real sheet is packed ten or twenty times.
_LARGE_SHEETS, _MOST_PACKED = 1 << 27, 200


class FileType(Enum):
    """Which reader reads it."""

    DELIMITED = auto()
    PARQUET = auto()
    WORKBOOK = auto()


def is_system_file(name: str) -> bool:
    """Whether an operating system or a program put a file of this name beside others. ``name``: no folder."""
    return name.startswith((".", "_", "~$")) or name.casefold() in {"thumbs.db", "desktop.ini", "ehthumbs.db"}


def has_known_suffix(name: str) -> bool:
    """Whether a file of this name is meant to be a table."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (*TEXT, *WORKBOOK, *PARQUET, ".zip")


def file_type(held: Held) -> FileType:
    """What the content is. Raises InputError if it cannot be read, with what it is and how to export it."""
    head = held.head(_HEAD)
    if not head:
        raise NoRows(f"{held.name} is empty; expected a header and rows")
    if head.startswith(b"PAR1"):
        return FileType.PARQUET
    if head.startswith(OLE_MAGIC):
        return _of_ole(held)
    if head.startswith(_ZIP_MAGIC):
        return _of_zip(held)
    if packed := compression(head):
        head = next(blocks(held), b"")[:_HEAD]
        _require_not_packed_twice(held, head)
    _require_text(held, head)
    _require_known_name(held, packed=bool(packed))
    return FileType.DELIMITED


def unpacked(held: Held) -> Held:
    """The table in a ZIP archive that has exactly one, in memory; any other file as it is.

    Raises InputError for an archive with another number of tables, or a password.
    """
    if not held.head(4).startswith(_ZIP_MAGIC):
        return held
    try:
        return _unpacked(held)
    except BaseException:
        held.close()
        raise


def _unpacked(held: Held) -> Held:
    try:
        with held.reader() as reader, zipfile.ZipFile(reader) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            names = {each.filename.replace("\\", "/") for each in members}
            if _is_office_file(names):
                return held
            member = _only_table(held.name, members)
            content = archive.read(member)
    except UNZIP_FAULTS:
        raise _damaged(held) from None
    name = PurePosixPath(member.filename).name
    suffixes = tuple(suffix.lower() for suffix in PurePosixPath(name).suffixes)
    return held.holding(io.BytesIO(content), suffixes, f"ZIP archive with {name}")


def _is_office_file(names: set[str]) -> bool:
    return bool(names & {"[Content_Types].xml", "mimetype", "content.xml", *_ZIP_MEMBERS}) or any(
        name.startswith("xl/") for name in names
    )


def _only_table(name: str, members: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    shown = [each for each in members if not _is_hidden_member(each.filename)]
    tables = [each for each in shown if has_known_suffix(each.filename) and not _is_note(each.filename)]
    if any(each.flag_bits & 1 for each in shown):
        raise InputError(f"{name} is a ZIP archive with a password; {_UNPACK} and name the file in it")
    if len(tables) != 1:
        listed = ", ".join(each.filename for each in (tables or shown)[:5]) or "nothing"
        what = f"{len(tables)} tables" if tables else "no table"
        raise InputError(
            f"{name} is a ZIP archive with {what} ({listed}); {_UNPACK} and name one file, a folder or a"
            " pattern"
        )
    (found,) = tables
    if found.file_size > _LARGEST_MEMBER:
        raise InputError(f"{name} would unpack to {found.file_size >> 20:,} MiB in memory; {_UNPACK}")
    return found


def _is_note(path: str) -> bool:
    """Whether it is a text about the table beside it, not a table."""
    name = PurePosixPath(path.replace("\\", "/").casefold())
    return name.suffix == ".txt" and name.stem.startswith(
        ("readme", "read me", "license", "liesmich", "lisezmoi")
    )


def _is_hidden_member(path: str) -> bool:
    steps = PurePosixPath(path.replace("\\", "/")).parts
    return any(is_system_file(step) for step in steps)


def _require_not_packed_twice(held: Held, head: bytes) -> None:
    inside = {
        b"PK": "a compressed workbook or archive",
        OLE_MAGIC: "a compressed workbook",
        b"PAR1": "a compressed Parquet file",
    }
    what = next((what for magic, what in inside.items() if head.startswith(magic)), "")
    if what or compression(head):
        raise InputError(f"{held.name} is {what or 'compressed twice'}; {_UNPACK}")


def _require_text(held: Held, head: bytes) -> None:
    """Raises InputError for content that is not a table of text."""
    found = next((found for magic, found in _SIGNATURES.items() if head.startswith(magic)), None)
    if found is None:
        found = next(((what, how) for pattern, what, how in _PATTERNS if pattern.match(head)), None)
    if found is None and (text := _as_text(head)).lstrip()[:1] in {"<", "{", "["}:
        found = next(((what, how) for pattern, what, how in _MARKUP if pattern.search(text)), None)
    if found is None and not head.strip(b"\0") and len(head) > 3:
        found = ("nothing but NUL bytes: perhaps it is not downloaded yet (OneDrive, iCloud)", _FETCH)
    if found is None and _OWNER_FILE.fullmatch(head):
        found = (
            "a lock file of Microsoft Office, not the file",
            "close the file there, and name the file itself",
        )
    if found is not None:
        raise InputError(f"{held.name} is {found[0]}; {found[1]}. Expected one of {KNOWN}")


# What Office writes beside an open file (~$growers.xlsx): the length of a name and 54 bytes for it, twice.
_OWNER_FILE = re.compile(rb"([\x01-\x36])[^\0]{54}\1\0.{108}", re.DOTALL)


def _as_text(head: bytes) -> str:
    """Good enough to recognise markup, also in UTF-16."""
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").decode("latin-1")


def _require_known_name(held: Held, *, packed: bool) -> None:
    """Text of an unknown suffix may be anything; text named as a workbook is an export that lies."""
    if held.name == STANDARD_INPUT:
        return
    suffixes = tuple(s for s in held.suffixes if s not in PACKED) if packed else held.suffixes
    last = suffixes[-1] if suffixes else ""
    if packed and last in (*WORKBOOK, *PARQUET):
        raise InputError(f"{held.name} is a compressed {last} file; {_UNPACK}")
    if last in _ENCRYPTED:
        raise InputError(f"{held.name} is encrypted; {_PIPE}")
    if last and last not in (*TEXT, *WORKBOOK, *PARQUET):
        raise InputError(
            f"{held.name}: unknown suffix {last}; expected one of {KNOWN}; if it is CSV, rename it to .csv"
        )


def _of_ole(held: Held) -> FileType:
    """The old container of Microsoft Office, also used for encrypted workbooks of the new kind."""
    with held.reader() as reader:
        content = reader.read()
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise InputError(f"{held.name} is encrypted; save the workbook without a password")
    if any(stream.encode("utf-16-le") in content for stream in ("Workbook", "Book")):
        return FileType.WORKBOOK
    for stream, (what, how) in _OLE_STREAMS.items():
        if stream.encode("utf-16-le") in content:
            raise InputError(f"{held.name} is {what}; {how}. Expected one of {KNOWN}")
    raise InputError(
        f"{held.name} is an old Office file without a workbook in it, or cut off; save it as .xlsx"
    )


def _damaged(held: Held) -> InputError:
    return InputError(
        f"{held.name} is damaged or cut off: it begins like a workbook or archive but cannot be unpacked;"
        " copy it again"
    )


def _of_zip(held: Held) -> FileType:
    try:
        with held.reader() as reader, zipfile.ZipFile(reader) as archive:
            # Some programs of Windows write backslashes between the folders.
            names = {name.replace("\\", "/") for name in archive.namelist()}
            size = sum(info.file_size for info in archive.infolist())
            mime = archive.read("mimetype")[:80] if "mimetype" in names else b""
            manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
    except UNZIP_FAULTS:
        raise _damaged(held) from None
    if size > _LARGEST_SHEETS or (size > _LARGE_SHEETS and size > _MOST_PACKED * held.size):
        raise InputError(f"{held.name} would unpack to {size >> 20:,} MiB; save it as CSV")
    if b"encryption-data" in manifest:
        raise InputError(f"{held.name} is encrypted; save the workbook without a password")
    if b"opendocument.spreadsheet" in mime or any(name.startswith("xl/") for name in names):
        return FileType.WORKBOOK
    what, how = next(
        (found for member, found in _ZIP_MEMBERS.items() if member in names),
        ("an Office document without a sheet", _AS_XLSX),
    )
    raise InputError(f"{held.name} is {what}; {how}. Expected one of {KNOWN}")
