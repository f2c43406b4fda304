"""Which settings a run needs depends on the columns of its file."""

from types import SimpleNamespace
from typing import cast

import pytest

from bulk_onboard.chunk import Source
from bulk_onboard.cli.config import load, require
from bulk_onboard.cli.header import fields_in
from bulk_onboard.errors import UsageError


def source(*header: str) -> Source:
    return cast("Source", SimpleNamespace(header=header, name="growers.csv"))


def test_a_column_of_the_file_takes_the_place_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", "t")
    settings = load({"map": {"refreshToken": "Token"}})
    fields = fields_in(source("Leaf User ID", "Token", "client-id", "other"), settings)
    assert fields == {"leafUserId", "refreshToken", "clientId"}
    with pytest.raises(UsageError, match="1 setting is missing: RAVEN_CLIENT_SECRET"):
        require(settings, fields)
