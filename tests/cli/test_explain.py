"""What a code means."""

import pytest

from bulk_onboard.cli.main import main
from bulk_onboard.domain import codes

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("code", [*codes.CODES, "missing-refreshToken"])
def test_each_code_is_explained(code: str, capsys: Capture) -> None:
    assert main(["explain", code]) == 0
    told = codes.lookup(code)
    assert told is not None
    assert capsys.readouterr().out == f"{code}: {told.meaning}\n{told.hint}\n"


def test_a_mistyped_code_is_wrong_usage_with_a_suggestion(capsys: Capture) -> None:
    assert main(["explain", "tokn-changed"]) == 2
    assert "did you mean token-changed" in capsys.readouterr().err
