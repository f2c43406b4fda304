"""README and docs/ say what is so: their tables, links and commands are held against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.docs.generated import GENERATED, with_sections
from tests.docs.pages import DOCS, PAGES, ROOT, SECTION, blocks

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:bulk_onboard|tests|samples|docs)/[\w./-]*)`")
README = ROOT / "README.md"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_sections_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_sections(text) == text, "run `python -m tests.docs`"


def test_every_generated_section_is_shown() -> None:
    assert {found[2] for page in PAGES for found in SECTION.finditer(page.read_text())} == set(GENERATED)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", with_sections(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_have_targets(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_files_exist(page: Path) -> None:
    for path in _PATH.findall(page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_page_is_in_the_table_of_contents() -> None:
    config = yaml.safe_load((ROOT / ".mkdocs.yml").read_text())
    listed = re.findall(r"[\w-]+\.md", str(config["nav"]))
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))
    index = (DOCS / "index.md").read_text()
    assert [page for page in listed if page != "index.md" and f"({page})" not in index] == []


@pytest.mark.parametrize("marker", ["run-command", "test-command"])
def test_a_marked_command_of_the_readme_is_one_line(marker: str) -> None:
    [block] = [block for block in blocks(README) if block.note == marker]
    assert block.text.count("\n") == 1
    assert block.text.startswith("python3 -m venv .venv && .venv/bin/pip install")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_toml_blocks_are_valid(page: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)


def test_the_changelog_names_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
