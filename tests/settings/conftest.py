"""Every test of the settings starts in an empty folder and with no setting in the environment."""

from pathlib import Path

import pytest

from bulk_onboard.domain.providers import PROVIDERS

_SETTINGS = ["LEAF_BASE_URL", "LEAF_TOKEN", "LEAF_USERNAME", "LEAF_PASSWORD"]
_SETTINGS += [p.setting(f) for p in PROVIDERS.values() for f in p.app_fields]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder in which the test runs."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
