"""The samples for schedulers, each held against its platform's own rules as far as they are at hand."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bulk_onboard import api
from bulk_onboard.cli.main import cli
from bulk_onboard.settings import SETTINGS
from tests.conftest import INSTALL

FOLDER = Path(__file__).parents[2] / "samples" / "schedule"
SCHEDULE = "30 2 * * *"
PROGRAM = "/opt/bulk-onboard/bin/bulk-onboard"


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def understood(arguments: list[str]) -> dict[str, Any]:
    """The options of a `bulk-onboard run`, as the command itself takes them apart. Nothing is run."""
    assert arguments[0] == "run"
    command = cli.get_command(click.Context(cli), "run")
    assert command
    return command.make_context("run", arguments[1:]).params


def is_nightly(params: dict[str, Any]) -> None:
    assert params["file"] == "/exports/growers.parquet"
    assert (params["min_rows"], params["max_new"].share) == (1000, 0.05)
    assert params["fail_on"] == "change"


def test_every_sample_has_a_test() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {
        "bulk-onboard.service", "bulk-onboard.timer", "crontab", "kubernetes-cronjob.yaml",
        "github-actions.yml", "airflow_dag.py",
    }  # fmt: skip


# --- systemd ------------------------------------------------------------------------------------------


def _lines(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text(name), re.MULTILINE)


def test_the_service_starts_a_command_that_is_understood() -> None:
    (start,) = _lines("bulk-onboard.service", "ExecStart")
    program, *arguments = shlex.split(start.replace("%%", "%"))
    assert program == PROGRAM
    is_nightly(understood(arguments))
    # A single percent sign would be a specifier of systemd's.
    assert not re.search(r"(?<!%)%(?!%)", start.replace("%%", ""))


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)
def test_systemd_finds_no_fault_with_service_and_timer(tmp_path: Path) -> None:
    service = text("bulk-onboard.service").replace(PROGRAM, sys.executable)
    (tmp_path / "bulk-onboard.service").write_text(service)
    (tmp_path / "bulk-onboard.timer").write_text(text("bulk-onboard.timer"))
    units = [str(tmp_path / f"bulk-onboard.{kind}") for kind in ("service", "timer")]
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)
def test_the_timer_goes_off_every_night_at_half_past_two() -> None:
    (when,) = _lines("bulk-onboard.timer", "OnCalendar")
    told = subprocess.run(
        ["systemd-analyze", "calendar", when], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "Normalized form: *-*-* 02:30:00" in told


# --- cron ---------------------------------------------------------------------------------------------


def test_the_crontab_has_one_line_that_cron_and_the_command_understand() -> None:
    (line,) = [line for line in text("crontab").splitlines() if line and not line.startswith("#")]
    *fields, command = line.split(maxsplit=5)
    assert " ".join(fields) == SCHEDULE
    # For cron a bare percent sign is the end of the line.
    assert not re.search(r"(?<!\\)%", command)
    shown = command.replace(r"\%", "%").partition("&& ")[2].partition(" 2>>")[0]
    program, *arguments = shlex.split(shown)
    assert program == PROGRAM
    is_nightly(understood(arguments))


# --- Kubernetes ---------------------------------------------------------------------------------------


def _cronjob() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("kubernetes-cronjob.yaml"))
    return found


# What a second attempt does not change: attention, usage, input, login, a bug.
FINAL = {1, 2, 3, 4, 70}


def test_the_cronjob_never_overlaps_and_is_tried_again_only_where_that_helps() -> None:
    found = _cronjob()
    assert (found["apiVersion"], found["kind"]) == ("batch/v1", "CronJob")
    assert (found["spec"]["schedule"], found["spec"]["concurrencyPolicy"]) == (SCHEDULE, "Forbid")
    job = found["spec"]["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (2, "Never")
    (rule,) = job["podFailurePolicy"]["rules"]
    (container,) = job["template"]["spec"]["containers"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {
        "containerName": container["name"],
        "operator": "In",
        "values": sorted(FINAL),
    }


def test_neither_systemd_nor_airflow_tries_again_where_that_does_not_help() -> None:
    assert _lines("bulk-onboard.service", "Restart") == ["on-failure"]
    (final,) = _lines("bulk-onboard.service", "RestartPreventExitStatus")
    assert set(map(int, final.split())) == FINAL
    assigned = [each for each in ast.parse(text("airflow_dag.py")).body if isinstance(each, ast.Assign)]
    assert [ast.literal_eval(each.value) for each in assigned] == [FINAL]


def test_the_container_runs_a_command_that_is_understood_where_the_ledger_is_kept() -> None:
    pod = _cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    program, *arguments = container["command"]
    assert program == "bulk-onboard"
    is_nightly(understood([*arguments, *container["args"]]))
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in pod["volumes"]}
    assert container["workingDir"] == mounts["state"]
    files = [each["value"] for each in container["env"] if each["name"].endswith("_FILE")]
    assert files
    assert all(file.startswith(mounts["secrets"]) for file in files)


def test_kubernetes_own_schema_finds_no_fault_with_the_cronjob() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    validate.validate(_cronjob(), "1.30", strict=True)


# --- GitHub Actions -----------------------------------------------------------------------------------


def test_the_workflow_runs_every_night_one_at_a_time_a_command_that_is_understood() -> None:
    found = yaml.safe_load(text("github-actions.yml"))
    # To YAML 1.1 the key `on` is the truth.
    assert found[True]["schedule"] == [{"cron": SCHEDULE}]
    assert found["concurrency"]["cancel-in-progress"] is False
    (step,) = found["jobs"]["onboard"]["steps"]
    program, *arguments = shlex.split(step["run"])
    assert program == "bulk-onboard"
    is_nightly(understood(arguments))
    secret = [name for name in step["env"] if re.search("PASSWORD|SECRET|NOTIFY", name)]
    assert all(step["env"][name] == f"${{{{ secrets.{name} }}}}" for name in secret)


def test_github_s_own_schema_finds_no_fault_with_the_workflow() -> None:
    pytest.importorskip("check_jsonschema", reason=f"needs check-jsonschema: {INSTALL}")
    check = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    ran = subprocess.run(
        [sys.executable, *check, str(FOLDER / "github-actions.yml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Airflow ------------------------------------------------------------------------------------------


def test_the_dag_calls_the_library_with_options_that_it_has() -> None:
    tree = ast.parse(text("airflow_dag.py"))
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "bulk_onboard.onboard"
    ]
    assert ast.literal_eval(call.args[0]) == "/exports/growers.parquet"
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given.keys() <= {"provider", "login", "app", "observer", *(setting.option for setting in SETTINGS)}
    # What the options say is checked where they are read.
    settings = api._settings(given.pop("provider"), None, None, given)
    assert (settings.safety.min_rows, settings.safety.max_new.share) == (1000, 0.05)
    assert settings.fail_on == "change"


@pytest.mark.skipif(importlib.util.find_spec("airflow") is None, reason="needs apache-airflow")
def test_airflow_reads_the_dag(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(FOLDER / "airflow_dag.py")],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": ""}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
