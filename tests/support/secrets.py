"""Secrets that are easy to recognise, in whatever form they come out, and the search for them."""

from __future__ import annotations

import base64
import csv
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bulk_onboard.domain.providers import PROVIDERS
from tests.support.command import grower


@dataclass(frozen=True)
class Canary:
    """A secret. ``core`` stands in its midst and survives any cutting, escaping and masking of its ends."""

    kind: str
    core: str
    secret: str

    def needles(self) -> Iterator[tuple[str, bytes]]:
        """The core in every form; text forms in lower case."""
        core = self.core.encode()
        yield "plain", core.lower()
        yield "backwards", core[::-1].lower()
        yield "hex", core.hex().encode()
        yield "UTF-16", self.core.lower().encode("utf-16-le")
        for skip in range(3):
            # What surrounds the core decides the first and the last letters.
            packed = base64.b64encode(b"\0" * skip + core).rstrip(b"=")
            yield f"base64+{skip}", packed[skip + 1 if skip else 0 : -1]


def canary(kind: str, number: int = 0) -> Canary:
    """With every printable ASCII character that is written differently in JSON, in URLs and in CSV."""
    core = f"Kn4r1{kind.title()}{number:03}Zq"
    return Canary(kind, core, f'kv-{core}+/=%"~{core[::-1]}-end')


def plain(kind: str) -> Canary:
    """For headers and settings: visible ASCII only."""
    core = f"Kn4r1{kind.title()}000Zq"
    return Canary(kind, core, f"kv-{core}+/=%-end")


def phrase(number: int) -> Canary:
    """A short secret in words, which nothing about its looks gives away."""
    core = f"{'bcdfghjk'[number]}uxomorphplover"
    return Canary("phrase", core, f"my {core} yes")


TOKENS = [canary("refresh", n) for n in range(16)] + [phrase(n) for n in range(8)]
CLIENT_ID, CLIENT_SECRET = plain("clientid"), plain("clientsecret")
BEARER, PASSWORD, ACCESS, EVENT = plain("bearer"), plain("password"), plain("access"), plain("event")
SETTINGS = [CLIENT_ID, CLIENT_SECRET, BEARER, PASSWORD, ACCESS, EVENT]
ALL = [*TOKENS, *SETTINGS]

# What may hold secrets, because the user put them there.
INPUT = "growers.csv"


def write_input(folder: Path, *, swapped: bool = False, tokens: Iterable[Canary] = TOKENS) -> None:
    """A file of growers with the canaries for tokens; ``swapped``: under the wrong headers."""
    header = ["leafUserId", "refreshToken"]
    with (folder / INPUT).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header[::-1] if swapped else header)
        writer.writerows((grower(n), token.secret) for n, token in enumerate(tokens))


# Provider -> the fields of its growers that are secrets.
SEVERAL = {
    "raven": ["refreshToken"],
    "sentera": ["password"],
    "stara": ["accessToken", "accessTokenClient", "refreshToken"],
    "agvance": ["password"],
}
OPEN = {"username": "grower@example.com", "organizationName": "Hill Farm", "databaseId": "db-1"}


def write_mixed_input(folder: Path) -> None:
    """A file whose rows go to several providers, with the canaries for secrets of every kind."""
    names = list(SEVERAL)
    secret = list(dict.fromkeys(field for fields in SEVERAL.values() for field in fields))
    with (folder / INPUT).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["leafUserId", "provider", *OPEN, *secret])
        for n, token in enumerate(TOKENS):
            name = names[n % len(names)]
            cells = [token.secret if field in SEVERAL[name] else "" for field in secret]
            writer.writerow([grower(n), name, *OPEN.values(), *cells])


def app_settings(*providers: str) -> dict[str, str]:
    """The canaries for app fields too."""
    fields = [(PROVIDERS[name], field) for name in providers for field in PROVIDERS[name].app_fields]
    return {p.setting(f): f.allowed[0] if f.allowed else CLIENT_SECRET.secret for p, f in fields}


SETTINGS_OF_A_RUN = {
    "LEAF_USERNAME": "me@example.com",
    "LEAF_PASSWORD": PASSWORD.secret,
    "RAVEN_CLIENT_ID": CLIENT_ID.secret,
    "RAVEN_CLIENT_SECRET": CLIENT_SECRET.secret,
}


def environment(folder: Path, url: str = "", **more: str) -> dict[str, str]:
    """With a place for temporary files that can be searched, and every check of Python's switched on."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    checks = {"TMPDIR": str(scratch), "PYTHONFAULTHANDLER": "1", "PYTHONASYNCIODEBUG": "1"}
    leaf = {"LEAF_BASE_URL": url} if url else {}
    return {**os.environ, **SETTINGS_OF_A_RUN, **checks, **leaf, **more}


def found(folder: Path, *shown: bytes) -> list[str]:
    """Where a canary can be read: in every file but the input, and in what a command has ``shown``."""
    places = [
        (str(path.relative_to(folder)), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != INPUT
    ]
    places += [("what was shown", each) for each in shown]
    return [f"{kind} of {each.core} in {place}" for place, data in places for each, kind in _in(data)]


def _in(data: bytes) -> Iterator[tuple[Canary, str]]:
    folded = data.lower()
    for each in ALL:
        for kind, needle in each.needles():
            if needle in (data if kind.startswith("base64") else folded):
                yield each, kind


def open_to_others(folder: Path) -> list[str]:
    """Files and folders in there that anybody but the user may use."""
    return [
        f"{path.relative_to(folder.parent)} {stat.filemode(path.stat().st_mode)}"
        for path in (folder, *folder.rglob("*"))
        if path.stat().st_mode & 0o077
    ]
