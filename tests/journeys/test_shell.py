"""Shell habits: Tab completes words, and output can be piped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Desk, as_csv, growers

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
RUN = "20261123T154500Z-growers"
# The completing shell calls the program by its name.
BIN = Path(sys.executable).parent


def completed(line: str) -> list[str]:
    """What a real bash offers for a line when Tab is pressed at its end."""
    script = f"""
        source <(_BULK_ONBOARD_COMPLETE=bash_source bulk-onboard)
        COMP_WORDS=({line}); [[ $1 == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_LINE=$1; COMP_POINT=${{#1}}
        compopt() {{ echo files; }}
        $(complete -p bulk-onboard | sed 's/.*-F \\([^ ]*\\).*/\\1/') bulk-onboard
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", script, "bash", line], env=environment, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    assert ran.stderr == ""
    return [word for word in ran.stdout.split("\n") if word]


@needs_bash
def test_bash_completes_commands_options_providers_codes_runs_and_files(here: Path) -> None:
    (here / "reports" / RUN).mkdir(parents=True)
    (here / "reports" / RUN / "summary.json").touch(mode=0o600)
    assert completed("bulk-onboard ru") == ["run", "runs"]
    assert "--min-rows" in completed("bulk-onboard run --m")
    assert completed("bulk-onboard run --provider cnhi-") == ["cnhi-field-ops"]
    assert completed("bulk-onboard explain token-ch") == ["token-changed"]
    assert completed("bulk-onboard report ") == [RUN]
    assert completed("bulk-onboard run gro") == ["files"]
    assert completed("bulk-onboard run --if-exists o") == ["overwrite"]


# --- pipes --------------------------------------------------------------------------------------------


def test_with_json_standard_output_is_only_json(desk: Desk) -> None:
    lines = ["validate -", "providers", "providers raven", "explain token-changed", "run - --sandbox", "runs"]
    for line in [*lines, "events - --sandbox", "report"]:
        ran = desk(*line.split(), "--json", stdin=as_csv(growers(2)).encode())
        assert ran.code == 0, line
        json.loads(ran.out)


@needs_bash
@pytest.mark.parametrize(("streams", "code"), [("0<&- 1>&- 2>&-", 0), ("--json >/dev/full 2>&-", 5)])
def test_closed_or_full_streams_do_not_affect_the_run(here: Path, streams: str, code: int) -> None:
    Path("growers.csv").write_text(as_csv(growers(2)))
    command = f"{sys.executable} -m bulk_onboard run growers.csv --sandbox --no-events --rate 0 {streams}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == code
    [results] = Path("reports").glob("*/results.csv")
    assert results.read_text().count("created") == 2
    if code:
        return
    assert "Traceback" not in ran.stderr
