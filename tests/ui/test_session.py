"""The way of a file, as the page asks for it, without a browser."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from uuid import UUID

import pytest
from openpyxl import Workbook, load_workbook

from bulk_onboard.sandbox import Behaviour, Sandbox
from bulk_onboard.ui import saved
from tests.ui.support import SAMPLES, client

IDS = [str(UUID(int=number, version=4)) for number in range(1, 40)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def partner_file(header: str = "Grower ID;Raven token;Name") -> bytes:
    rows = [f"{grower};rt-{n}k2j8s9fkq02mfn3x;Farm {n}" for n, grower in enumerate(IDS)]
    return "\n".join([header, *rows]).encode()


def two_sheets() -> bytes:
    book, out = Workbook(), io.BytesIO()
    for name, sheet in (("North", book.active), ("South", book.create_sheet())):
        sheet.title = name
        sheet.append(["Growers of the season"])
        sheet.append([])
        sheet.append(["leafUserId", "refreshToken"])
        for n, grower in enumerate(IDS[:3] if name == "North" else IDS[3:8]):
            sheet.append([grower, f"rt-{name}{n}k2j8s9fkq02mfn"])
    book["South"].row_dimensions[5].hidden = True
    book.save(out)
    return out.getvalue()


async def test_columns_are_suggested_with_a_reason() -> None:
    async with client() as page:
        state = await page.upload("partner.csv", partner_file())
        fields = {field["name"]: field for field in state["columns"]["fields"]}
        assert (fields["leafUserId"]["column"], fields["leafUserId"]["why"]) == (0, "its cells are UUIDs")
        assert fields["refreshToken"]["column"] == 1
        assert state["check"]["valid"] == len(IDS)
        assert "--map" in state["commands"]["run"]
        await page.post("choose", column={"field": "refreshToken", "column": None})
        assert page.state()["columns"]["unmapped"] == ["refreshToken"]
        assert page.state()["check"] is None
        await page.post("choose", column={"field": "refreshToken", "column": 2})
        assert {group["code"] for group in page.state()["check"]["groups"]} == {"space-inside"}


async def test_a_mapping_is_saved_for_a_partner() -> None:
    Path("bulk-onboard.toml").write_text('# mine\nprovider = "raven"  # kept\n', encoding="utf-8")
    async with client() as page:
        await page.upload("partner.csv", partner_file("a;b;c"))
        await page.post("choose", column={"field": "leafUserId", "column": 0})
        await page.post("choose", column={"field": "refreshToken", "column": 1})
        for name in ("First", 'Meyer "& Söhne"'):
            await page.post("save", partner=name)
        assert not page.state()["error"]
        state = await page.upload("next.csv", partner_file("C;B;A").replace(b"Farm", b"Hof"))
        assert state["columns"]["partner"] == 'Meyer "& Söhne"'
    text = Path("bulk-onboard.toml").read_text(encoding="utf-8")
    assert text.startswith('# mine\nprovider = "raven"  # kept\n')
    assert text.count("[[partners]]") == 1
    assert saved.find(["b", "C", "A"]) is not None
    assert saved.find(["b", "c"]) is None


async def test_a_row_of_data_taken_as_header_is_not_written_to_the_settings() -> None:
    async with client() as page:
        await page.upload("partner.csv", partner_file("a;b;c"))
        await page.post("choose", sheets=[], header_row=3)
        await page.post("save", partner="Meyer")
        assert "cannot be recognised again" in page.state()["error"]
    assert not Path("bulk-onboard.toml").exists()


async def test_of_two_columns_with_one_name_the_command_and_the_copies_mean_the_chosen_one() -> None:
    rows = [f"old-{n}k2j8s9fkq02mfn;new-{n}k2j8s9fkq02mfn;{grower}" for n, grower in enumerate(IDS[:3])]
    async with client() as page:
        await page.upload("-twice.csv", "\n".join(["Token;Token;ID", *rows]).encode())
        await page.post("choose", column={"field": "refreshToken", "column": 1})
        state = page.state()
        assert state["commands"]["check"] == "bulk-onboard validate ./-twice-repaired.csv"
        _, content = await page.ask("GET", "download/repaired")
        assert [row["refreshToken"][:3] for row in csv.DictReader(io.StringIO(content.decode()))] == [
            "new"
        ] * 3
        _, content = await page.ask("GET", "download/marked")
        book = load_workbook(io.BytesIO(content))
        assert [cell.value for cell in book.worksheets[1][1]][:3] == state["columns"]["header"]
        assert "Token (column B)" in state["columns"]["header"]


async def test_the_provider_may_be_a_column() -> None:
    rows = [
        f"{name},{grower},rt-{name}k2j8s9fkq02mfn" for name, grower in zip(["Trimble", ""], IDS, strict=False)
    ]
    async with client() as page:
        state = await page.upload("two.csv", "\n".join(["Provider,leafUserId,refreshToken", *rows]).encode())
        assert (state["settings"]["providerColumn"], state["settings"]["provider"]) == ("Provider", "")
        assert state["check"]["valid"] == 1
        await page.post("choose", provider="john-deere")
        assert (page.state()["settings"]["provider"], page.state()["check"]["valid"]) == ("john-deere", 2)
        await page.post("choose", provider=None)
        assert page.state()["check"]["valid"] == 1


async def test_sheet_header_and_hidden_rows_can_be_chosen() -> None:
    async with client() as page:
        state = await page.upload("two.xlsx", two_sheets())
        assert [(s["name"], s["growers"], s["headerRow"]) for s in state["sheets"]] == [
            ("North", True, 3),
            ("South", True, 3),
        ]
        assert state["columns"] is None
        await page.post("choose", sheets=["South"], header_row=None)
        state = page.state()
        assert (state["check"]["rows"], state["columns"]["hidden"]) == (5, 1)
        await page.post("choose", hidden="skip")
        assert page.state()["check"]["rows"] == 4
        assert page.state()["commands"]["check"] == (
            "bulk-onboard validate two.xlsx --sheet South --hidden skip"
        )
        await page.post("choose", sheets=["South"], header_row=4)
        assert page.state()["columns"]["header"] == ["(column A)", "(column B)"]
        assert b"rt-South" not in b"".join(page.seen)
        await page.post("choose", sheets=["South"], header_row=3)
        assert page.state()["commands"]["check"].endswith("--sheet South --header-row 3 --hidden skip")


async def test_cells_are_edited_rows_excluded_and_repairs_applied() -> None:
    async with client() as page:
        state = await page.upload("messy.xlsx", (SAMPLES / "messy.xlsx").read_bytes())
        assert state["check"]["repairable"] == 2
        await page.post("repair")
        assert page.state()["check"]["corrected"] == 2
        await page.post("edit", cells=[{"row": 10, "column": 1, "text": "rt-typed-by-hand-11aa22"}])
        await page.post("leaveOut", row=16, out=True)
        check = page.state()["check"]
        assert (check["rows"], check["valid"], check["leftOut"]) == (14, 4, 1)
        lines = {line["row"]: line for line in (await page.post("rows", start=0, count=50))["lines"]}
        assert lines[10]["changed"] == [1]
        assert lines[16]["leftOut"]
        assert lines[7]["marks"][0]["gravity"] == 3
        assert "again from its source" in lines[7]["marks"][0]["note"]
        await page.post("edit", cells=[{"row": 10, "column": 1, "text": None}])
        assert page.state()["check"]["valid"] == 3


async def test_downloads_contain_the_corrections() -> None:
    async with client() as page:
        await page.upload("messy.xlsx", (SAMPLES / "messy.xlsx").read_bytes())
        await page.post("edit", cells=[{"row": 10, "column": 1, "text": "rt-typed-by-hand-11aa22"}])
        await page.post("leaveOut", row=16, out=True)
        _, content = await page.ask("GET", "download/repaired")
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert rows[0].keys() >= {"leafUserId", "refreshToken"}
        assert "rt-typed-by-hand-11aa22" in {row["refreshToken"] for row in rows}
        _, content = await page.ask("GET", "download/marked")
        assert load_workbook(io.BytesIO(content)).sheetnames[0] == "bulk-onboard"
        assert page.state()["commands"]["run"] == "bulk-onboard run messy-repaired.csv --sandbox"
    assert not [path for path in Path().rglob("*") if path.is_file()]


async def test_a_run_asks_first() -> None:
    async with client() as page:
        await page.upload("partner.csv", partner_file())
        await page.post("start", dry=True)
        dry = await page.wait("dry")
        assert dry["outcome"]["counts"] == {"would_create": len(IDS)}
        assert dry["outcome"]["meaning"] == "nothing was changed, and no row needs attention"
        await page.post("start", dry=False)
        asking = await page.wait("run", "asking")
        assert (asking["about"]["growers"], asking["about"]["login"]) == (len(IDS), "practice")
        status, content = await page.ask("POST", "api/start", json={"dry": False})
        assert (status, b"in progress" in content) == (422, True)
        status, _ = await page.ask("POST", "api/repair", json={})
        assert status == 422
        await page.post("control", what="confirm")
        done = await page.wait("run")
        assert done["outcome"]["counts"] == {"created": len(IDS)}
        status, report = await page.ask("GET", "report")
        assert (status, report[:15].lower()) == (200, b"<!doctype html>")
        await page.post("start", dry=False)
        again = await page.wait("run")
        assert again["outcome"]["counts"] == {"existing": len(IDS)}


async def test_an_unconfirmed_run_stores_nothing() -> None:
    async with client() as page:
        await page.upload("partner.csv", partner_file())
        await page.post("start", dry=False)
        await page.wait("run", "asking")
        await page.post("control", what="stop")
        done = await page.wait("run")
        assert done["outcome"]["counts"] == {"not_attempted": len(IDS)}


async def test_missing_settings_can_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    async with client() as page:
        await page.upload("partner.csv", partner_file())
        await page.post("choose", sandbox=False)
        missing = page.state()["settings"]["missing"]
        assert "RAVEN_CLIENT_SECRET" in missing
        names = ("LEAF_TOKEN", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET")
        await page.post("choose", entered={name: f"planted-{name}" for name in names})
        assert page.state()["settings"]["missing"] == []
        assert b"planted-" not in b"".join(page.seen)


async def test_a_file_that_cannot_be_used_is_explained() -> None:
    async with client() as page:
        state = await page.upload("letter.docx", b"PK\x03\x04 not really")
        assert state["error"].startswith("letter.docx is")
        assert state["columns"] is None
        state = await page.upload("empty.csv", b"")
        assert "is empty" in state["error"]


async def test_a_second_run_on_the_ledger_is_refused() -> None:
    async with client() as page, client() as other:
        for each in (page, other):
            await each.upload("partner.csv", partner_file())
        await page.post("start", dry=False)
        await page.wait("run", "asking")
        await other.post("start", dry=False)
        refused = await other.wait("run")
        assert "is held by process" in refused["error"]
        await page.post("control", what="stop")
        await page.wait("run")


async def test_a_run_with_another_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = Sandbox(behaviour=Behaviour(event_delay=0.05))
    async with leaf.serve() as url, client() as page:
        monkeypatch.setenv("LEAF_BASE_URL", url)
        await page.upload("partner.csv", partner_file())
        await page.post("choose", sandbox=False, rate="500")
        names = ("LEAF_USERNAME", "LEAF_PASSWORD", "RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET")
        await page.post("choose", entered={name: f"planted-{name}" for name in names})
        assert page.state()["settings"]["host"] == url
        await page.post("start", dry=False)
        asking = await page.wait("run", "asking")
        assert (asking["about"]["host"], asking["about"]["login"]) == (url, "planted-LEAF_USERNAME")
        await page.post("control", what="confirm")
        done = await page.wait("run")
        assert done["outcome"]["counts"] == {"created": len(IDS)}
        everything = b"".join(page.seen).replace(b"planted-LEAF_USERNAME", b"")
        assert b"planted-" not in everything


async def test_the_encoding_can_be_chosen() -> None:
    content = "leafUserId;refreshToken;Name\n" + f"{IDS[0]};rt-k2j8s9fkq02mfn77x;Мюллер\n"
    async with client() as page:
        state = await page.upload("cyrillic.csv", content.encode("cp1251"))
        assert state["columns"]["isText"]
        await page.post("choose", encoding="cp1251")
        lines = (await page.post("rows", start=0, count=1))["lines"]
        assert lines[0]["cells"][2] == "Мюллер"
        assert page.state()["sheets"][0]["lines"][1]["cells"][2] == "Мюллер"
        assert page.state()["commands"]["check"].endswith("--encoding cp1251")
