"""Which settings a run needs depends on the columns of its file, and on the providers that its rows name."""

import pandas as pd
import pytest

from bulk_onboard.engine.opening import reading_with_settings
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.settings.load import load


def asked(frame: dict[str, list[str]], **options: object) -> list[str]:
    """The settings that are missing, or else the names of the providers."""
    try:
        found = reading_with_settings(open_source(pd.DataFrame(frame)), load(options))
    except UsageError as error:
        return str(error).partition(": ")[2].partition(". ")[0].split(", ")
    return [provider.name for provider in found.providers]


@pytest.fixture(autouse=True)
def _logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", "t")


def test_a_column_of_the_file_takes_the_place_of_a_setting() -> None:
    frame = {"Leaf User ID": ["u"], "Token": ["t"], "client-id": ["c"], "other": ["o"]}
    assert asked(frame, map={"refreshToken": "Token"}) == ["RAVEN_CLIENT_SECRET"]


def test_settings_of_all_providers_in_the_file_are_required() -> None:
    frame = {"leafUserId": ["u"] * 4, "refreshToken": ["t"] * 4, "username": ["n"] * 4, "password": ["p"] * 4}
    frame |= {"provider": ["Raven ", "valley", "", "RAVEN"]}
    assert asked(frame) == [
        "RAVEN_CLIENT_ID",
        "RAVEN_CLIENT_SECRET",
        "VALLEY_APID",
        "VALLEY_INITIALIZATION_VECTOR",
        "VALLEY_KEY",
    ]
    assert asked(frame, provider="stara", limit=1) == ["RAVEN_CLIENT_ID", "RAVEN_CLIENT_SECRET"]
    with pytest.raises(InputError, match=r"the column accessToken is missing, which stara needs; .*"):
        asked(frame, provider="stara")


def test_an_unusable_app_field_is_reported_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = {"leafUserId": ["u"], "refreshToken": ["t"]}
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"LINDSAY_{name}", "planted-7f3a91")
    monkeypatch.setenv("LINDSAY_CLIENT_ENVIRONMENT", "hunter2")
    settings = load({"provider": "lindsay"})
    with pytest.raises(
        UsageError, match="LINDSAY_CLIENT_ENVIRONMENT is neither STAGE nor PRODUCTION"
    ) as told:
        reading_with_settings(open_source(pd.DataFrame(frame)), settings)
    assert "hunter2" not in str(told.value)
    monkeypatch.setenv("LINDSAY_CLIENT_SECRET", "hunter2\nand more")
    assert load({}).provider == "raven"  # what is not used may be as it likes
    with pytest.raises(UsageError, match="LINDSAY_CLIENT_SECRET: this contains a line break"):
        reading_with_settings(open_source(pd.DataFrame(frame)), load({"provider": "lindsay"}))
