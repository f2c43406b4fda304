"""The samples for schedulers: their commands are valid, and they retry only where that helps."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
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
# Exit codes after which a second attempt is pointless: attention, usage, input, login, a bug.
FINAL = {1, 2, 3, 4, 70}
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def lines(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text(name), re.MULTILINE)


def documents(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(text(name))
    return found


def of_systemd() -> list[str]:
    (start,) = lines("bulk-onboard.service", "ExecStart")
    assert not re.search(r"(?<!%)%(?!%)", start.replace("%%", "")), "a single % is a specifier of systemd"
    return shlex.split(start.replace("%%", "%"))


def of_cron() -> list[str]:
    (line,) = [line for line in text("crontab").splitlines() if line and not line.startswith("#")]
    *fields, command = line.split(maxsplit=5)
    assert " ".join(fields) == SCHEDULE
    assert not re.search(r"(?<!\\)%", command), "for cron a bare % ends the line"
    return shlex.split(command.replace(r"\%", "%").partition("&& ")[2].partition(" 2>>")[0])


def container() -> dict[str, Any]:
    job = documents("kubernetes-cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    (found,) = job["template"]["spec"]["containers"]
    return dict(found)


def of_kubernetes() -> list[str]:
    return [*container()["command"], *container()["args"]]


def of_github() -> list[str]:
    (step,) = documents("github-actions.yml")["jobs"]["onboard"]["steps"]
    return shlex.split(step["run"])


@pytest.mark.parametrize(
    ("command", "program"),
    [(of_systemd, PROGRAM), (of_cron, PROGRAM), (of_kubernetes, "bulk-onboard"), (of_github, "bulk-onboard")],
)
def test_the_command_of_a_sample_is_valid(command: Callable[[], list[str]], program: str) -> None:
    called, name, *arguments = command()
    assert (called, name) == (program, "run")
    run = cli.get_command(click.Context(cli), "run")
    assert run
    params = run.make_context("run", arguments).params
    assert (params["file"], params["fail_on"]) == ("/exports/growers.parquet", "change")
    assert (params["min_rows"], params["max_new"].share) == (1000, 0.05)


@needs_systemd
def test_systemd_accepts_service_and_timer(tmp_path: Path) -> None:
    service = text("bulk-onboard.service").replace(PROGRAM, sys.executable)
    (tmp_path / "bulk-onboard.service").write_text(service)
    (tmp_path / "bulk-onboard.timer").write_text(text("bulk-onboard.timer"))
    units = [str(tmp_path / f"bulk-onboard.{kind}") for kind in ("service", "timer")]
    (when,) = lines("bulk-onboard.timer", "OnCalendar")
    for arguments, expected in (
        (["verify", "--man=no", "--recursive-errors=no", *units], ""),
        (["calendar", when], "Normalized form: *-*-* 02:30:00"),
    ):
        ran = subprocess.run(
            ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert ran.returncode == 0
        assert expected in ran.stdout if expected else ran.stdout + ran.stderr == ""


def test_kubernetes_never_overlaps_runs_and_keeps_the_ledger() -> None:
    spec = documents("kubernetes-cronjob.yaml")["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == (SCHEDULE, "Forbid")
    job, one = spec["jobTemplate"]["spec"], container()
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (2, "Never")
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["containerName"]) == ("FailJob", one["name"])
    assert (rule["onExitCodes"]["operator"], rule["onExitCodes"]["values"]) == ("In", sorted(FINAL))
    mounts = {each["name"]: each["mountPath"] for each in one["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in job["template"]["spec"]["volumes"]}
    assert one["workingDir"] == mounts["state"]
    files = [each["value"] for each in one["env"] if each["name"].endswith("_FILE")]
    assert files
    assert all(file.startswith(mounts["secrets"]) for file in files)


def test_systemd_and_airflow_retry_only_where_that_helps() -> None:
    assert lines("bulk-onboard.service", "Restart") == ["on-failure"]
    (final,) = lines("bulk-onboard.service", "RestartPreventExitStatus")
    assert set(map(int, final.split())) == FINAL
    assigned = [each for each in ast.parse(text("airflow_dag.py")).body if isinstance(each, ast.Assign)]
    assert [ast.literal_eval(each.value) for each in assigned] == [FINAL]


def test_the_github_workflow_is_valid_and_takes_secrets_from_github() -> None:
    pytest.importorskip("check_jsonschema", reason=f"needs check-jsonschema: {INSTALL}")
    check = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    ran = subprocess.run(
        [sys.executable, *check, str(FOLDER / "github-actions.yml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = documents("github-actions.yml")
    assert found[True]["schedule"] == [{"cron": SCHEDULE}]  # YAML 1.1 reads the key `on` as true
    assert found["concurrency"]["cancel-in-progress"] is False
    (step,) = found["jobs"]["onboard"]["steps"]
    secret = [name for name in step["env"] if re.search("PASSWORD|SECRET|NOTIFY", name)]
    assert all(step["env"][name] == f"${{{{ secrets.{name} }}}}" for name in secret)


def test_the_airflow_dag_calls_the_library_with_valid_options() -> None:
    tree = ast.parse(text("airflow_dag.py"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if ast.unparse(node.func) == "bulk_onboard.onboard"]
    assert ast.literal_eval(call.args[0]) == "/exports/growers.parquet"
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given.keys() <= {"provider", "login", "app", "observer", *(setting.option for setting in SETTINGS)}
    settings = api._settings(given.pop("provider"), None, None, given)
    assert (settings.safety.min_rows, settings.safety.max_new.share) == (1000, 0.05)
    assert settings.fail_on == "change"
