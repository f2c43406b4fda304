"""Replies, and the problem objects of Leaf's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a Leaf in good health answers. ``stored``: a POST changed the stored credentials."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    stored: bool = False


def json_reply(
    status: int, data: object, headers: Mapping[str, str] = _NO_HEADERS, *, stored: bool = False
) -> Reply:
    """A reply whose body is JSON."""
    return Reply(status, json.dumps(data).encode(), headers=headers, stored=stored)


def problem(status: int, path: str, key: str, title: str, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """An error as JHipster tells it."""
    data = {
        "type": "https://www.jhipster.tech/problem/problem-with-message",
        "title": title,
        "status": status,
        "path": path,
        "message": f"error.{key}",
        "errorKey": key,
    }
    return Reply(status, json.dumps(data).encode(), "application/problem+json", headers)


def unauthorised(path: str) -> Reply:
    """401: no token, or one that is wrong or has expired."""
    return problem(401, path, "unauthorized", "Unauthorized")


def not_found(path: str) -> Reply:
    """404: there is nothing here."""
    return problem(404, path, "notfound", "Not Found")


def bad_request(path: str, key: str, title: str) -> Reply:
    """400: a definite no."""
    return problem(400, path, key, title)
